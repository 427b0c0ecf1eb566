package tidegate.bench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.api.java.tuple.Tuple7;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Nexmark query 4: the average winning price of each category so far, told after each minute of
 * event time in which an auction of it closed: `category,average,end_ms`.
 */
final class Q4 implements Bench.Job {
  private static final long PERIOD_MS = 60_000;
  private static final TypeInformation<Tuple2<Long, Long>> PAIR =
      TypeInformation.of(new TypeHint<Tuple2<Long, Long>>() {});

  @Override
  public DataStream<String> build(Streams streams) {
    return streams
        .auctions()
        .keyBy(auction -> auction.f0)
        .connect(streams.bids().keyBy(bid -> bid.f0))
        .process(new Winner())
        .keyBy(won -> won.f0)
        .process(new Average());
  }

  /** The highest bid of each auction, when it closes: category and price. */
  private static final class Winner
      extends KeyedCoProcessFunction<
          Long,
          Tuple7<Long, Long, Long, Long, Long, Long, String>,
          Tuple5<Long, Long, Long, Long, String>,
          Tuple2<Long, Long>> {
    /** When it opens and closes, its category, the highest bid or -1. */
    private transient ValueState<Tuple4<Long, Long, Long, Long>> auction;

    /** Price and time of bids before their auction is known. */
    private transient ListState<Tuple2<Long, Long>> early;

    @Override
    public void open(OpenContext context) {
      auction =
          getRuntimeContext()
              .getState(
                  new ValueStateDescriptor<>(
                      "auction",
                      TypeInformation.of(new TypeHint<Tuple4<Long, Long, Long, Long>>() {})));
      early = getRuntimeContext().getListState(new ListStateDescriptor<>("early", PAIR));
    }

    @Override
    public void processElement1(
        Tuple7<Long, Long, Long, Long, Long, Long, String> opened,
        Context context,
        Collector<Tuple2<Long, Long>> out)
        throws Exception {
      long highest = -1;
      for (Tuple2<Long, Long> bid : early.get()) {
        if (bid.f1 >= opened.f4 && bid.f1 <= opened.f5) {
          highest = Math.max(highest, bid.f0);
        }
      }
      early.clear();
      auction.update(Tuple4.of(opened.f4, opened.f5, opened.f2, highest));
      context.timerService().registerEventTimeTimer(opened.f5);
    }

    @Override
    public void processElement2(
        Tuple5<Long, Long, Long, Long, String> bid,
        Context context,
        Collector<Tuple2<Long, Long>> out)
        throws Exception {
      Tuple4<Long, Long, Long, Long> known = auction.value();
      if (known == null) {
        early.add(Tuple2.of(bid.f2, bid.f3));
      } else if (bid.f3 >= known.f0 && bid.f3 <= known.f1 && bid.f2 > known.f3) {
        auction.update(Tuple4.of(known.f0, known.f1, known.f2, bid.f2));
      }
    }

    @Override
    public void onTimer(
        long timestamp, OnTimerContext context, Collector<Tuple2<Long, Long>> out)
        throws Exception {
      // The auction stays, so that bids after its end are known to be too late.
      Tuple4<Long, Long, Long, Long> closed = auction.value();
      if (closed.f3 >= 0) {
        out.collect(Tuple2.of(closed.f2, closed.f3));
      }
    }
  }

  private static final class Average
      extends KeyedProcessFunction<Long, Tuple2<Long, Long>, String> {
    /** Sum and number of all periods that are over. */
    private transient ValueState<Tuple2<Long, Long>> total;

    /** Sum and number of each period that is not, by its end. */
    private transient MapState<Long, Tuple2<Long, Long>> open;

    @Override
    public void open(OpenContext context) {
      total = getRuntimeContext().getState(new ValueStateDescriptor<>("total", PAIR));
      open =
          getRuntimeContext()
              .getMapState(
                  new MapStateDescriptor<>("open", TypeInformation.of(Long.class), PAIR));
    }

    @Override
    public void processElement(
        Tuple2<Long, Long> won, Context context, Collector<String> out) throws Exception {
      long time = context.timestamp();
      long end = time - Math.floorMod(time, PERIOD_MS) + PERIOD_MS;
      Tuple2<Long, Long> sum = open.get(end);
      if (sum == null) {
        context.timerService().registerEventTimeTimer(end - 1);
        open.put(end, Tuple2.of(won.f1, 1L));
      } else {
        open.put(end, Tuple2.of(sum.f0 + won.f1, sum.f1 + 1));
      }
    }

    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<String> out)
        throws Exception {
      long end = timestamp + 1;
      Tuple2<Long, Long> period = open.get(end);
      Tuple2<Long, Long> before = total.value();
      Tuple2<Long, Long> now =
          before == null ? period : Tuple2.of(before.f0 + period.f0, before.f1 + period.f1);
      total.update(now);
      open.remove(end);
      out.collect(context.getCurrentKey() + "," + now.f0 / now.f1 + "," + end);
    }
  }
}
