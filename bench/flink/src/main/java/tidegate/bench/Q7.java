package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 7: the highest bid of each 10 s, first by auction, then of all; of equal ones that
 * with the lowest auction, then bidder: `end_ms,auction,bidder,price`.
 */
final class Q7 implements Bench.Job {
  private static final long SIZE_MS = 10_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams
        .bids()
        .keyBy(bid -> bid.f0)
        .process(new HighestOfAuction())
        .keyBy(bid -> bid.f0)
        .process(new Highest());
  }

  /** The highest bid of an auction in a window: its end, auction, bidder, price. */
  private static final class HighestOfAuction
      extends KeyedProcessFunction<
          Long, Tuple5<Long, Long, Long, Long, String>, Tuple4<Long, Long, Long, Long>> {
    /** Bidder and price, by the end of the window. */
    private transient MapState<Long, Tuple2<Long, Long>> highest;

    @Override
    public void open(OpenContext context) {
      highest =
          getRuntimeContext()
              .getMapState(
                  new MapStateDescriptor<>(
                      "highest",
                      TypeInformation.of(Long.class),
                      TypeInformation.of(new TypeHint<Tuple2<Long, Long>>() {})));
    }

    @Override
    public void processElement(
        Tuple5<Long, Long, Long, Long, String> bid,
        Context context,
        Collector<Tuple4<Long, Long, Long, Long>> out)
        throws Exception {
      long end = bid.f3 - Math.floorMod(bid.f3, SIZE_MS) + SIZE_MS;
      Tuple2<Long, Long> before = highest.get(end);
      if (before == null) {
        context.timerService().registerEventTimeTimer(end - 1);
      }
      if (before == null
          || bid.f2 > before.f1
          || (bid.f2.equals(before.f1) && bid.f1 < before.f0)) {
        highest.put(end, Tuple2.of(bid.f1, bid.f2));
      }
    }

    @Override
    public void onTimer(
        long timestamp, OnTimerContext context, Collector<Tuple4<Long, Long, Long, Long>> out)
        throws Exception {
      long end = timestamp + 1;
      Tuple2<Long, Long> found = highest.get(end);
      out.collect(Tuple4.of(end, context.getCurrentKey(), found.f0, found.f1));
      highest.remove(end);
    }
  }

  private static final class Highest
      extends KeyedProcessFunction<Long, Tuple4<Long, Long, Long, Long>, String> {
    /** Auction, bidder, price. */
    private transient ValueState<Tuple3<Long, Long, Long>> highest;

    @Override
    public void open(OpenContext context) {
      highest =
          getRuntimeContext()
              .getState(
                  new ValueStateDescriptor<>(
                      "highest", TypeInformation.of(new TypeHint<Tuple3<Long, Long, Long>>() {})));
    }

    @Override
    public void processElement(
        Tuple4<Long, Long, Long, Long> bid, Context context, Collector<String> out)
        throws Exception {
      Tuple3<Long, Long, Long> before = highest.value();
      if (before == null) {
        context.timerService().registerEventTimeTimer(bid.f0 - 1);
      }
      if (before == null
          || bid.f3 > before.f2
          || (bid.f3.equals(before.f2) && bid.f1 < before.f0)) {
        highest.update(Tuple3.of(bid.f1, bid.f2, bid.f3));
      }
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      Tuple3<Long, Long, Long> found = highest.value();
      out.collect(context.getCurrentKey() + "," + found.f0 + "," + found.f1 + "," + found.f2);
      highest.clear();
    }
  }
}
