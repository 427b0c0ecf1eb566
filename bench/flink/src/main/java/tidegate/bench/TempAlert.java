package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Where a sensor differs from its last reading by more than 10 degrees: `id,previous,current`. */
final class TempAlert implements Bench.Job {
  private static final double THRESHOLD = 10.0;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams.readings().keyBy(reading -> reading.f0).process(new Alert());
  }

  private static final class Alert
      extends KeyedProcessFunction<String, Tuple3<String, Long, Double>, String> {
    private transient ValueState<Double> lastTemp;

    @Override
    public void open(OpenContext context) {
      lastTemp =
          getRuntimeContext().getState(new ValueStateDescriptor<>("last-temp", Double.class));
    }

    @Override
    public void processElement(
        Tuple3<String, Long, Double> reading, Context context, Collector<String> out)
        throws Exception {
      Double last = lastTemp.value();
      if (last != null && Math.abs(reading.f2 - last) > THRESHOLD) {
        out.collect(reading.f0 + "," + last + "," + reading.f2);
      }
      lastTemp.update(reading.f2);
    }
  }
}
