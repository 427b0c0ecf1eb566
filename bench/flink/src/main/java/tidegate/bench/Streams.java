package tidegate.bench;

import java.nio.file.Path;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.SerializableTimestampAssigner;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.api.java.tuple.Tuple7;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * What all jobs share: files of lines in, event times and watermarks, files of lines out.
 *
 * <p>Events are tuples, whose serializer is the fastest that Flink brings.
 */
final class Streams {
  private final StreamExecutionEnvironment env;
  private final Options options;

  /** What stands before the names of inputs in the options. */
  private final String inputs;

  Streams(StreamExecutionEnvironment env, Options options, String inputs) {
    this.env = env;
    this.options = options;
    this.inputs = inputs;
  }

  /** The lines of the input of this name, as they are. */
  DataStream<String> lines(String name) {
    FileSource<String> source =
        FileSource.forRecordStreamFormat(
                new TextLineInputFormat(),
                org.apache.flink.core.fs.Path.fromLocalFile(
                    Path.of(options.text(inputs + name)).toFile()))
            .build();
    return env.fromSource(source, WatermarkStrategy.noWatermarks(), name);
  }

  /** `user,url,timestamp_ms`. */
  DataStream<Tuple3<String, String, Long>> clicks() {
    return timed("clicks", new ParseClick(), (click, previous) -> click.f2);
  }

  /** `id,unix_seconds,temperature,note`: the last one is not kept. */
  DataStream<Tuple3<String, Long, Double>> readings() {
    return timed("sensors", new ParseReading(), (reading, previous) -> reading.f1 * 1000);
  }

  /** `id,name,city,state,time_ms,extra`. */
  DataStream<Tuple6<Long, String, String, String, Long, String>> persons() {
    return timed("persons", new ParsePerson(), (person, previous) -> person.f4);
  }

  /** `id,seller,category,reserve,time_ms,expires_ms,extra`. */
  DataStream<Tuple7<Long, Long, Long, Long, Long, Long, String>> auctions() {
    return timed("auctions", new ParseAuction(), (auction, previous) -> auction.f4);
  }

  /** `auction,bidder,price,time_ms,extra`. */
  DataStream<Tuple5<Long, Long, Long, Long, String>> bids() {
    return timed("bids", new ParseBid(), (bid, previous) -> bid.f3);
  }

  private <T> DataStream<T> timed(
      String name, MapFunction<String, T> parse, SerializableTimestampAssigner<T> time) {
    Duration delay = Duration.ofMillis(options.number("delay"));
    WatermarkStrategy<T> watermarks =
        switch (options.text("watermarks")) {
          case "periodic" -> WatermarkStrategy.forBoundedOutOfOrderness(delay);
          case "each" -> WatermarkStrategy.forGenerator(context -> new AfterEach<T>(delay));
          default -> throw new IllegalArgumentException("--watermarks periodic or each");
        };
    return lines(name)
        .map(parse)
        .assignTimestampsAndWatermarks(watermarks.withTimestampAssigner(time));
  }

  static FileSink<String> sink(Path folder) {
    return FileSink.forRowFormat(
            org.apache.flink.core.fs.Path.fromLocalFile(folder.toFile()),
            new SimpleStringEncoder<String>("UTF-8"))
        .build();
  }

  /**
   * A watermark after each event, as Tidegate's: for comparing outputs that depend on when it
   * rises. Flink's own way is one every 200 ms.
   */
  private static final class AfterEach<T> implements WatermarkGenerator<T> {
    private final long delay;
    private long highest = Long.MIN_VALUE;

    AfterEach(Duration delay) {
      this.delay = delay.toMillis();
    }

    @Override
    public void onEvent(T event, long timestamp, WatermarkOutput output) {
      if (timestamp > highest) {
        highest = timestamp;
        output.emitWatermark(new Watermark(highest - delay - 1));
      }
    }

    @Override
    public void onPeriodicEmit(WatermarkOutput output) {}
  }

  private static final class ParseClick implements MapFunction<String, Tuple3<String, String, Long>> {
    @Override
    public Tuple3<String, String, Long> map(String line) {
      String[] fields = line.split(",");
      return Tuple3.of(fields[0], fields[1], Long.parseLong(fields[2]));
    }
  }

  private static final class ParseReading
      implements MapFunction<String, Tuple3<String, Long, Double>> {
    @Override
    public Tuple3<String, Long, Double> map(String line) {
      String[] fields = line.split(",");
      return Tuple3.of(fields[0], Long.parseLong(fields[1]), Double.parseDouble(fields[2]));
    }
  }

  private static final class ParsePerson
      implements MapFunction<String, Tuple6<Long, String, String, String, Long, String>> {
    @Override
    public Tuple6<Long, String, String, String, Long, String> map(String line) {
      String[] f = line.split(",");
      return Tuple6.of(Long.parseLong(f[0]), f[1], f[2], f[3], Long.parseLong(f[4]), f[5]);
    }
  }

  private static final class ParseAuction
      implements MapFunction<String, Tuple7<Long, Long, Long, Long, Long, Long, String>> {
    @Override
    public Tuple7<Long, Long, Long, Long, Long, Long, String> map(String line) {
      String[] f = line.split(",");
      return Tuple7.of(
          Long.parseLong(f[0]),
          Long.parseLong(f[1]),
          Long.parseLong(f[2]),
          Long.parseLong(f[3]),
          Long.parseLong(f[4]),
          Long.parseLong(f[5]),
          f[6]);
    }
  }

  private static final class ParseBid
      implements MapFunction<String, Tuple5<Long, Long, Long, Long, String>> {
    @Override
    public Tuple5<Long, Long, Long, Long, String> map(String line) {
      String[] f = line.split(",");
      return Tuple5.of(
          Long.parseLong(f[0]),
          Long.parseLong(f[1]),
          Long.parseLong(f[2]),
          Long.parseLong(f[3]),
          f[4]);
    }
  }
}
