package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Clicks of each user in windows of 10 s, by hand: `user,count,start_ms,end_ms`. */
final class FakeWindow implements Bench.Job {
  private static final long SIZE_MS = 10_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams.clicks().keyBy(click -> click.f0).process(new Window());
  }

  private static final class Window
      extends KeyedProcessFunction<String, Tuple3<String, String, Long>, String> {
    private transient MapState<Long, Long> counts;

    @Override
    public void open(OpenContext context) {
      counts =
          getRuntimeContext()
              .getMapState(new MapStateDescriptor<>("window-pv", Long.class, Long.class));
    }

    @Override
    public void processElement(
        Tuple3<String, String, Long> click, Context context, Collector<String> out)
        throws Exception {
      long start = click.f2 - Math.floorMod(click.f2, SIZE_MS);
      context.timerService().registerEventTimeTimer(start + SIZE_MS - 1);
      Long before = counts.get(start);
      counts.put(start, before == null ? 1 : before + 1);
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      long end = timestamp + 1;
      long start = end - SIZE_MS;
      out.collect(context.getCurrentKey() + "," + counts.get(start) + "," + start + "," + end);
      counts.remove(start);
    }
  }
}
