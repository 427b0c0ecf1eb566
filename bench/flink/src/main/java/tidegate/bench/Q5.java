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
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 5: the auction with the most bids in each 10 s, every 2 s; of several that with the
 * lowest number: `end_ms,auction,bids`.
 */
final class Q5 implements Bench.Job {
  private static final long SIZE_MS = 10_000;
  private static final long SLIDE_MS = 2_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams
        .bids()
        .keyBy(bid -> bid.f0)
        .process(new Counts())
        .keyBy(count -> count.f0)
        .process(new Most());
  }

  /** Bids of an auction in a window: its end, the auction, how many. */
  private static final class Counts
      extends KeyedProcessFunction<
          Long, Tuple5<Long, Long, Long, Long, String>, Tuple3<Long, Long, Long>> {
    /** By the end of the window. */
    private transient MapState<Long, Long> counts;

    @Override
    public void open(OpenContext context) {
      counts =
          getRuntimeContext()
              .getMapState(new MapStateDescriptor<>("counts", Long.class, Long.class));
    }

    @Override
    public void processElement(
        Tuple5<Long, Long, Long, Long, String> bid,
        Context context,
        Collector<Tuple3<Long, Long, Long>> out)
        throws Exception {
      long first = bid.f3 - Math.floorMod(bid.f3, SLIDE_MS) + SLIDE_MS;
      for (long end = first; end < first + SIZE_MS; end += SLIDE_MS) {
        Long before = counts.get(end);
        if (before == null) {
          context.timerService().registerEventTimeTimer(end - 1);
        }
        counts.put(end, before == null ? 1 : before + 1);
      }
    }

    @Override
    public void onTimer(
        long timestamp, OnTimerContext context, Collector<Tuple3<Long, Long, Long>> out)
        throws Exception {
      long end = timestamp + 1;
      out.collect(Tuple3.of(end, context.getCurrentKey(), counts.get(end)));
      counts.remove(end);
    }
  }

  private static final class Most
      extends KeyedProcessFunction<Long, Tuple3<Long, Long, Long>, String> {
    /** The auction and its number of bids. */
    private transient ValueState<Tuple2<Long, Long>> most;

    @Override
    public void open(OpenContext context) {
      most =
          getRuntimeContext()
              .getState(
                  new ValueStateDescriptor<>(
                      "most", TypeInformation.of(new TypeHint<Tuple2<Long, Long>>() {})));
    }

    @Override
    public void processElement(
        Tuple3<Long, Long, Long> count, Context context, Collector<String> out) throws Exception {
      Tuple2<Long, Long> before = most.value();
      if (before == null) {
        context.timerService().registerEventTimeTimer(count.f0 - 1);
      }
      if (before == null
          || count.f2 > before.f1
          || (count.f2.equals(before.f1) && count.f1 < before.f0)) {
        most.update(Tuple2.of(count.f1, count.f2));
      }
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      Tuple2<Long, Long> found = most.value();
      out.collect(context.getCurrentKey() + "," + found.f0 + "," + found.f1);
      most.clear();
    }
  }
}
