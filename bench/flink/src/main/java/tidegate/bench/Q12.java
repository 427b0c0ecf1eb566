package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.streaming.api.TimeDomain;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 12: how many bids each bidder made in each 10 s by the clock: `bidder,bids,start`.
 *
 * <p>Windows that are open when the input ends are told by an event-time timer at the end of time,
 * so that every bid is told in some window.
 */
final class Q12 implements Bench.Job {
  private static final long SIZE_MS = 10_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams.bids().keyBy(bid -> bid.f1).process(new Counts());
  }

  private static final class Counts
      extends KeyedProcessFunction<Long, Tuple5<Long, Long, Long, Long, String>, String> {
    /** The start of the open window and its bids. */
    private transient ValueState<Tuple2<Long, Long>> window;

    @Override
    public void open(OpenContext context) {
      window =
          getRuntimeContext()
              .getState(
                  new ValueStateDescriptor<>(
                      "window", TypeInformation.of(new TypeHint<Tuple2<Long, Long>>() {})));
    }

    @Override
    public void processElement(
        Tuple5<Long, Long, Long, Long, String> bid, Context context, Collector<String> out)
        throws Exception {
      long now = context.timerService().currentProcessingTime();
      long start = now - Math.floorMod(now, SIZE_MS);
      Tuple2<Long, Long> before = window.value();
      if (before != null && before.f0 == start) {
        window.update(Tuple2.of(start, before.f1 + 1));
        return;
      }
      if (before != null) {
        tell(context.getCurrentKey(), before, out);
      }
      window.update(Tuple2.of(start, 1L));
      context.timerService().registerProcessingTimeTimer(start + SIZE_MS - 1);
      context.timerService().registerEventTimeTimer(Long.MAX_VALUE);
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      Tuple2<Long, Long> open = window.value();
      if (open == null) {
        return;
      }
      boolean isOver = open.f0 + SIZE_MS - 1 <= timestamp;
      if (isOver || context.timeDomain() == TimeDomain.EVENT_TIME) {
        tell(context.getCurrentKey(), open, out);
        window.clear();
      }
    }

    private static void tell(Long bidder, Tuple2<Long, Long> window, Collector<String> out) {
      out.collect(bidder + "," + window.f1 + "," + window.f0);
    }
  }
}
