package tidegate.bench;

import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;

/** No key and no state: `user,url,timestamp_ms` to `timestamp_ms,user,length of the url`. */
final class StatelessMap implements Bench.Job {
  @Override
  public DataStream<String> build(Streams streams) {
    return streams.clicks().map(new Shape());
  }

  private static final class Shape implements MapFunction<Tuple3<String, String, Long>, String> {
    @Override
    public String map(Tuple3<String, String, Long> click) {
      return click.f2 + "," + click.f0 + "," + click.f1.length();
    }
  }
}
