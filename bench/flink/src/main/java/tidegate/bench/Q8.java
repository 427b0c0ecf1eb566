package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.api.java.tuple.Tuple7;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;

/** Nexmark query 8: who registered and sold within the same 10 s: `id,name,start_ms`. */
final class Q8 implements Bench.Job {
  private static final long SIZE_MS = 10_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams
        .persons()
        .keyBy(person -> person.f0)
        .connect(streams.auctions().keyBy(auction -> auction.f1))
        .process(new Join());
  }

  private static final class Join
      extends KeyedCoProcessFunction<
          Long,
          Tuple6<Long, String, String, String, Long, String>,
          Tuple7<Long, Long, Long, Long, Long, Long, String>,
          String> {
    /** Who registered, by the start of the window. */
    private transient MapState<Long, String> names;

    /** Windows with auctions, by their starts. */
    private transient MapState<Long, Boolean> sold;

    @Override
    public void open(OpenContext context) {
      names =
          getRuntimeContext()
              .getMapState(new MapStateDescriptor<>("names", Long.class, String.class));
      sold =
          getRuntimeContext()
              .getMapState(new MapStateDescriptor<>("sold", Long.class, Boolean.class));
    }

    @Override
    public void processElement1(
        Tuple6<Long, String, String, String, Long, String> person,
        Context context,
        Collector<String> out)
        throws Exception {
      long start = person.f4 - Math.floorMod(person.f4, SIZE_MS);
      names.put(start, person.f1);
      context.timerService().registerEventTimeTimer(start + SIZE_MS - 1);
    }

    @Override
    public void processElement2(
        Tuple7<Long, Long, Long, Long, Long, Long, String> auction,
        Context context,
        Collector<String> out)
        throws Exception {
      long start = auction.f4 - Math.floorMod(auction.f4, SIZE_MS);
      sold.put(start, true);
      context.timerService().registerEventTimeTimer(start + SIZE_MS - 1);
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      long start = timestamp + 1 - SIZE_MS;
      String name = names.get(start);
      if (name != null && sold.contains(start)) {
        out.collect(context.getCurrentKey() + "," + name + "," + start);
      }
      names.remove(start);
      sold.remove(start);
    }
  }
}
