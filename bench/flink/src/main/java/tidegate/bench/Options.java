package tidegate.bench;

import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;

/** The words of the command line: `--name value`, all of them required by who reads them. */
final class Options implements Serializable {
  private final Map<String, String> values = new HashMap<>();

  static Options parse(String[] arguments) {
    Options options = new Options();
    if (arguments.length % 2 != 0) {
      throw new IllegalArgumentException("options are written as `--name value`");
    }
    for (int index = 0; index < arguments.length; index += 2) {
      if (!arguments[index].startsWith("--")) {
        throw new IllegalArgumentException("no option: " + arguments[index]);
      }
      options.values.put(arguments[index].substring(2), arguments[index + 1]);
    }
    return options;
  }

  String text(String name) {
    String value = values.get(name);
    if (value == null) {
      throw new IllegalArgumentException("option --" + name + " is missing");
    }
    return value;
  }

  int number(String name) {
    return Integer.parseInt(text(name));
  }
}
