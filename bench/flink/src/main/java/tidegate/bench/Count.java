package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;

/** How many clicks each user has made, told after each click: `user,count`. */
final class Count implements Bench.Job {
  @Override
  public DataStream<String> build(Streams streams) {
    return streams.clicks().keyBy(click -> click.f0).map(new Counter());
  }

  private static final class Counter
      extends RichMapFunction<Tuple3<String, String, Long>, String> {
    private transient ValueState<Long> count;

    @Override
    public void open(OpenContext context) {
      count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Long.class));
    }

    @Override
    public String map(Tuple3<String, String, Long> click) throws Exception {
      Long before = count.value();
      long now = before == null ? 1 : before + 1;
      count.update(now);
      return click.f0 + "," + now;
    }
  }
}
