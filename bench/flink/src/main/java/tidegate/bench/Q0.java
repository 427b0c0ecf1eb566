package tidegate.bench;

import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.streaming.api.datastream.DataStream;

/** Nexmark query 0: every bid, read and written again. */
final class Q0 implements Bench.Job {
  @Override
  public DataStream<String> build(Streams streams) {
    return streams.bids().map(new Write());
  }

  private static final class Write
      implements MapFunction<Tuple5<Long, Long, Long, Long, String>, String> {
    @Override
    public String map(Tuple5<Long, Long, Long, Long, String> bid) {
      return bid.f0 + "," + bid.f1 + "," + bid.f2 + "," + bid.f3 + "," + bid.f4;
    }
  }
}
