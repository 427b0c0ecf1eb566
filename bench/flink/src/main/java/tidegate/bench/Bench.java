package tidegate.bench;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Runs one job of the benchmark several times in this JVM, as `--runs` says: `cold` over its input,
 * `few` over the first thousand lines of it, which tells what a run costs that does nothing, and
 * `warm` over its input again, when code is compiled. Prints a line of JSON a run: the job's own runtime as Flink tells it; the time around it,
 * which also holds the start of the cluster; how long this process had lived before the first run;
 * the most memory that it has used so far.
 *
 * <p>Started by `bench/src/comparison/flink.rs`.
 */
public final class Bench {
  /** Makes the stream of output lines of a job. */
  interface Job {
    DataStream<String> build(Streams streams);
  }

  private static final Map<String, Job> JOBS =
      Map.ofEntries(
          Map.entry("count", new Count()),
          Map.entry("pv", new PeriodicPv()),
          Map.entry("window", new FakeWindow()),
          Map.entry("alert", new TempAlert()),
          Map.entry("map", new StatelessMap()),
          Map.entry("q0", new Q0()),
          Map.entry("q3", new Q3()),
          Map.entry("q4", new Q4()),
          Map.entry("q5", new Q5()),
          Map.entry("q7", new Q7()),
          Map.entry("q8", new Q8()),
          Map.entry("q11", new Q11()),
          Map.entry("q12", new Q12()),
          Map.entry("q18", new Q18()));

  private Bench() {}

  public static void main(String[] arguments) throws Exception {
    Options options = Options.parse(arguments);
    Job job = JOBS.get(options.text("job"));
    if (job == null) {
      throw new IllegalArgumentException("unknown job " + options.text("job"));
    }
    long started = ManagementFactory.getRuntimeMXBean().getUptime();
    for (String name : options.text("runs").split(",")) {
      Path folder = Path.of(options.text("folder"), name);
      long start = System.nanoTime();
      JobExecutionResult result = run(job, options, name.equals("few") ? "few-" : "", folder);
      long wall = (System.nanoTime() - start) / 1_000_000;
      System.out.printf(
          "{\"net_ms\":%d,\"wall_ms\":%d,\"started_ms\":%d,\"memory_kib\":%d}%n",
          result.getNetRuntime(), wall, started, peakMemoryKib());
    }
    // Threads of the cluster may linger.
    System.exit(0);
  }

  private static JobExecutionResult run(Job job, Options options, String inputs, Path folder)
      throws Exception {
    Files.createDirectories(folder);
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.createLocalEnvironment(
            options.number("parallelism"), configuration(options, folder));
    Sink<String> sink = Streams.sink(folder.resolve("out"));
    job.build(new Streams(env, options, inputs)).sinkTo(sink).name("out");
    return env.execute(options.text("job"));
  }

  /** The high-water mark of resident memory, as Linux tells it. */
  private static long peakMemoryKib() throws Exception {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", ""));
      }
    }
    throw new IllegalStateException("the system does not tell how much memory was used");
  }

  private static Configuration configuration(Options options, Path folder) throws Exception {
    Configuration configuration = new Configuration();
    configuration.setString("pipeline.object-reuse", "true");
    configuration.setString("state.backend.type", options.text("backend"));
    configuration.setString("state.backend.rocksdb.localdir", folder(folder, "rocksdb"));
    configuration.setString("execution.checkpointing.incremental", "true");
    configuration.setString("execution.checkpointing.interval", options.text("interval"));
    configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
    configuration.setString(
        "execution.checkpointing.dir", folder.resolve("checkpoints").toUri().toString());
    configuration.setString("restart-strategy.type", "none");
    configuration.setString("taskmanager.memory.managed.size", options.text("memory"));
    configuration.setString("io.tmp.dirs", folder(folder, "temporary"));
    return configuration;
  }

  private static String folder(Path parent, String name) throws Exception {
    return Files.createDirectories(parent.resolve(name)).toString();
  }
}
