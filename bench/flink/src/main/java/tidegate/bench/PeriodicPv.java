package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** The count of each user so far, told 10 s after the first click since it was told last. */
final class PeriodicPv implements Bench.Job {
  private static final long PERIOD_MS = 10_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams.clicks().keyBy(click -> click.f0).process(new Pv());
  }

  private static final class Pv
      extends KeyedProcessFunction<String, Tuple3<String, String, Long>, String> {
    private transient ValueState<Long> count;
    private transient ValueState<Long> timerTs;

    @Override
    public void open(OpenContext context) {
      count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Long.class));
      timerTs = getRuntimeContext().getState(new ValueStateDescriptor<>("timer-ts", Long.class));
    }

    @Override
    public void processElement(
        Tuple3<String, String, Long> click, Context context, Collector<String> out)
        throws Exception {
      Long before = count.value();
      count.update(before == null ? 1 : before + 1);
      if (timerTs.value() == null) {
        long timer = click.f2 + PERIOD_MS;
        context.timerService().registerEventTimeTimer(timer);
        timerTs.update(timer);
      }
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      out.collect(context.getCurrentKey() + " pv: " + count.value());
      timerTs.clear();
    }
  }
}
