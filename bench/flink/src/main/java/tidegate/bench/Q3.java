package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.api.java.tuple.Tuple7;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 3: who in OR, ID or CA sells in category 10, told as each is known:
 * `name,city,state,auction`.
 */
final class Q3 implements Bench.Job {
  @Override
  public DataStream<String> build(Streams streams) {
    return streams
        .persons()
        .filter(person -> person.f3.equals("OR") || person.f3.equals("ID") || person.f3.equals("CA"))
        .keyBy(person -> person.f0)
        .connect(streams.auctions().filter(auction -> auction.f2 == 10).keyBy(auction -> auction.f1))
        .process(new Join());
  }

  private static final class Join
      extends KeyedCoProcessFunction<
          Long,
          Tuple6<Long, String, String, String, Long, String>,
          Tuple7<Long, Long, Long, Long, Long, Long, String>,
          String> {
    private transient ValueState<String> person;
    private transient ListState<Long> auctions;

    @Override
    public void open(OpenContext context) {
      person = getRuntimeContext().getState(new ValueStateDescriptor<>("person", String.class));
      auctions =
          getRuntimeContext().getListState(new ListStateDescriptor<>("auctions", Long.class));
    }

    @Override
    public void processElement1(
        Tuple6<Long, String, String, String, Long, String> seller,
        Context context,
        Collector<String> out)
        throws Exception {
      String line = seller.f1 + "," + seller.f2 + "," + seller.f3;
      person.update(line);
      for (Long auction : auctions.get()) {
        out.collect(line + "," + auction);
      }
      auctions.clear();
    }

    @Override
    public void processElement2(
        Tuple7<Long, Long, Long, Long, Long, Long, String> auction,
        Context context,
        Collector<String> out)
        throws Exception {
      String line = person.value();
      if (line == null) {
        auctions.add(auction.f0);
      } else {
        out.collect(line + "," + auction.f0);
      }
    }
  }
}
