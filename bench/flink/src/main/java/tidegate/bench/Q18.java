package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 18: the last bid of each bidder for each auction, told whenever there is a newer
 * one, as bids are written.
 */
final class Q18 implements Bench.Job {
  @Override
  public DataStream<String> build(Streams streams) {
    return streams.bids().keyBy(new ByBidderAndAuction()).process(new Last());
  }

  private static final class ByBidderAndAuction
      implements KeySelector<Tuple5<Long, Long, Long, Long, String>, Tuple2<Long, Long>> {
    @Override
    public Tuple2<Long, Long> getKey(Tuple5<Long, Long, Long, Long, String> bid) {
      return Tuple2.of(bid.f1, bid.f0);
    }
  }

  private static final class Last
      extends KeyedProcessFunction<
          Tuple2<Long, Long>, Tuple5<Long, Long, Long, Long, String>, String> {
    private transient ValueState<Long> last;

    @Override
    public void open(OpenContext context) {
      last = getRuntimeContext().getState(new ValueStateDescriptor<>("last", Long.class));
    }

    @Override
    public void processElement(
        Tuple5<Long, Long, Long, Long, String> bid, Context context, Collector<String> out)
        throws Exception {
      Long before = last.value();
      if (before == null || bid.f3 >= before) {
        last.update(bid.f3);
        out.collect(bid.f0 + "," + bid.f1 + "," + bid.f2 + "," + bid.f3 + "," + bid.f4);
      }
    }
  }
}
