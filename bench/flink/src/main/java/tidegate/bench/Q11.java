package tidegate.bench;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 11: how many bids each bidder made in each session, which ends after 10 s without
 * one: `bidder,bids,start_ms,end_ms`.
 */
final class Q11 implements Bench.Job {
  private static final long GAP_MS = 10_000;

  @Override
  public DataStream<String> build(Streams streams) {
    return streams.bids().keyBy(bid -> bid.f1).process(new Sessions());
  }

  private static final class Sessions
      extends KeyedProcessFunction<Long, Tuple5<Long, Long, Long, Long, String>, String> {
    /** Start, end and number of bids of each open session, which do not overlap. */
    private transient ListState<Tuple3<Long, Long, Long>> sessions;

    @Override
    public void open(OpenContext context) {
      sessions =
          getRuntimeContext()
              .getListState(
                  new ListStateDescriptor<>(
                      "sessions", TypeInformation.of(new TypeHint<Tuple3<Long, Long, Long>>() {})));
    }

    @Override
    public void processElement(
        Tuple5<Long, Long, Long, Long, String> bid, Context context, Collector<String> out)
        throws Exception {
      long start = bid.f3;
      long end = bid.f3 + GAP_MS;
      long bids = 1;
      List<Tuple3<Long, Long, Long>> kept = new ArrayList<>();
      for (Tuple3<Long, Long, Long> session : sessions.get()) {
        // Those that only touch are two: whether a bid comes before the end is never in doubt.
        if (session.f0 < end && start < session.f1) {
          start = Math.min(start, session.f0);
          end = Math.max(end, session.f1);
          bids += session.f2;
        } else {
          kept.add(session);
        }
      }
      kept.add(Tuple3.of(start, end, bids));
      sessions.update(kept);
      context.timerService().registerEventTimeTimer(end - 1);
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      List<Tuple3<Long, Long, Long>> kept = new ArrayList<>();
      boolean closed = false;
      for (Tuple3<Long, Long, Long> session : sessions.get()) {
        if (session.f1 - 1 <= timestamp) {
          closed = true;
          out.collect(
              context.getCurrentKey() + "," + session.f2 + "," + session.f0 + "," + session.f1);
        } else {
          kept.add(session);
        }
      }
      if (closed) {
        sessions.update(kept);
      }
    }
  }
}
