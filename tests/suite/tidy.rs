//! The house rules as a test: reads the whole tree and reports every violation at once, as
//! `file:line: what is wrong`.
//!
//! Not a compiler: it looks at text, with comments and strings of Rust files blanked out first, and
//! judges by simple signs. The import rules are read from ARCHITECTURE.md, between
//! `<!-- import rules -->` and `<!-- /import rules -->`, one line a module:
//! `wasm: error model state` (or a narrower arrow, `job::plan`), so that paper and test agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Words that only some places may use: the word, its places (prefixes of paths), and the rule.
const WORDS_WITH_A_PLACE: &[(&[&str], &[&str], &str)] = &[
    (
        &["println!", "eprintln!", "print!", "eprint!"],
        // Outside the host: in an author's own tests there is no host that takes log lines.
        &["host/src/cli/ui.rs", "host/examples/", "guest-sdk/src/log.rs", "xtask/", "bench/"],
        "printing is done by host/src/cli/ui.rs alone",
    ),
    (
        &["Instant::now", "SystemTime::now"],
        &["host/src/env.rs", "host/src/cli/", "xtask/", "tests/", "bench/"],
        "time comes from host/src/env.rs",
    ),
    (&["thread::sleep"], &["host/src/wasm/engine.rs"], "nobody waits by sleeping"),
    (&[".unwrap()"], &[], "say why it cannot fail: `expect`"),
    (&["dbg!"], &[], "left over from debugging"),
];

/// Words that no text file may hold, in comments neither; tidy.rs itself is exempt.
const WORDS_NOWHERE: &[(&[&str], &str)] = &[
    (&["TODO", "FIXME"], "an open end has an issue, not a note in the code"),
    (
        &[
            "index.crates.io",
            "static.crates.io",
            "pypi.org",
            "registry.npmjs.org",
            "repo1.maven.org",
            "proxy.golang.org",
            "deb.debian.org",
        ],
        "registries are the user's own configuration",
    ),
];

/// Starts of absolute paths, which hold on one machine only.
const MACHINE_PATHS: &[&str] = &["/root/", "/home/", "/work/", "/tmp/"];

/// Functions that are longer than the limit for a reason, as `file: function`.
const LONG_FUNCTIONS: &[&str] = &[];

#[test]
fn the_house_rules_hold() {
    let tree = Tree::read();
    let mut violations = Violations::default();
    for (path, text) in &tree.files {
        check_text(path, text, &mut violations);
        if path.ends_with(".rs") {
            check_rust(path, text, &mut violations);
        }
        if path.ends_with("Cargo.toml") {
            check_dependencies(path, text, &mut violations);
        }
    }
    check_imports(&tree, &mut violations);
    check_examples(&tree, &mut violations);
    check_suite_is_declared(&tree, &mut violations);
    let Violations(lines) = violations;
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

// ------------------------------------------------------------------------------------ the rules

/// Rules for every text file: forbidden words, line length.
fn check_text(path: &str, text: &str, violations: &mut Violations) {
    let has_column_limit = [".rs", ".wit", ".toml"].iter().any(|end| path.ends_with(end));
    let is_exempt_from_words = path == "tests/suite/tidy.rs" || path.ends_with("Cargo.lock");
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if has_column_limit && columns > COLUMNS_MAX && !line.contains("://") {
            violations.add(path, index, format!("{columns} columns, at most {COLUMNS_MAX}"));
        }
        if is_exempt_from_words {
            continue;
        }
        for (words, why) in WORDS_NOWHERE {
            for word in words.iter().filter(|word| holds_word(line, word)) {
                violations.add(path, index, format!("`{word}`: {why}"));
            }
        }
        for start in MACHINE_PATHS.iter().filter(|start| holds_word(line, start)) {
            violations.add(path, index, format!("`{start}`: a path of one machine"));
        }
    }
}

/// Rules for Rust files: header, length of file and functions, words with a place.
fn check_rust(path: &str, text: &str, violations: &mut Violations) {
    if !text.starts_with("//!") {
        violations.add(path, 0, "no `//!` header: what it is, what it is not, who calls it");
    }
    let code = without_comments_and_strings(text);
    for (name, start, length) in functions(&code) {
        let is_listed = LONG_FUNCTIONS.contains(&format!("{path}: {name}").as_str());
        if length > FUNCTION_LINES_MAX && !is_listed {
            let what = format!("`{name}` has {length} lines, at most {FUNCTION_LINES_MAX}");
            violations.add(path, start, what);
        }
    }
    if is_test_file(path) {
        return;
    }
    let (code, test_lines) = without_tests(&code);
    let lines = text.lines().count() - test_lines;
    if lines > FILE_LINES_MAX && !text.contains("//! Justified length:") {
        let what = format!(
            "{lines} lines before tests, at most {FILE_LINES_MAX}, or `//! Justified length: why`"
        );
        violations.add(path, 0, what);
    }
    for (words, places, why) in WORDS_WITH_A_PLACE {
        if places.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for (index, line) in code.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| holds_word(line, word)) {
                violations.add(path, index, format!("`{word}`: {why}"));
            }
        }
    }
}

/// Every dependency, or the group of lines it stands in, has a comment above: what it is for.
/// The packages of this workspace speak for themselves.
fn check_dependencies(path: &str, text: &str, violations: &mut Violations) {
    let mut in_dependencies = false;
    let mut group_has_comment = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end().ends_with("dependencies]");
            group_has_comment = false;
        } else if line.starts_with('#') {
            group_has_comment = true;
        } else if line.trim().is_empty() {
            group_has_comment = false;
        } else if in_dependencies && line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let name = line.split([' ', '.', '=']).next().unwrap_or_default();
            if !group_has_comment && !name.starts_with("tidegate") {
                violations.add(path, index, format!("`{name}`: no comment says what it is for"));
            }
        }
    }
}

/// Every `crate::` path under host/src is an arrow of the list in ARCHITECTURE.md.
fn check_imports(tree: &Tree, violations: &mut Violations) {
    const LIST: &str = "ARCHITECTURE.md";
    let Some(rules) = tree.files.get(LIST).and_then(|text| import_rules(text)) else {
        violations.add(LIST, 0, "no list between `<!-- import rules -->` and its end");
        return;
    };
    for (path, text) in &tree.files {
        let Some(inner) = path.strip_prefix("host/src/") else { continue };
        if !path.ends_with(".rs") || inner == "lib.rs" || inner == "main.rs" {
            continue;
        }
        let module = inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs");
        let Some(allowed) = rules.get(module) else {
            violations.add(path, 0, format!("`{module}` has no import rule in {LIST}"));
            continue;
        };
        let code = without_comments_and_strings(text);
        for (index, import) in crate_paths(&code) {
            let is_own = import.split("::").next() == Some(module);
            let is_arrow =
                |arrow: &String| import == *arrow || import.starts_with(&format!("{arrow}::"));
            if !is_own && !allowed.iter().any(is_arrow) {
                violations.add(path, index, format!("{module} may not import crate::{import}"));
            }
        }
        let depth = inner.split('/').filter(|part| *part != "mod.rs").count();
        let way_out = "super::".repeat(depth);
        let (code, _) = without_tests(&code);
        for (index, _) in code.lines().enumerate().filter(|(_, line)| line.contains(&way_out)) {
            violations.add(path, index, "leaves its folder by `super`: write `crate::`");
        }
    }
}

/// Every function crate in examples/ comes with its job and what the job writes.
fn check_examples(tree: &Tree, violations: &mut Violations) {
    for folder in tree.files.keys().filter_map(|path| path.strip_suffix("/Cargo.toml")) {
        if folder.strip_prefix("examples/").is_none_or(|name| name.contains('/')) {
            continue;
        }
        for file in ["job.toml", "expected.txt"] {
            if !tree.files.contains_key(&format!("{folder}/{file}")) {
                violations.add(folder, 0, format!("no {file}"));
            }
        }
    }
}

/// Every file and folder of tests/suite is a module of its main.rs; others would never run.
fn check_suite_is_declared(tree: &Tree, violations: &mut Violations) {
    const FOLDER: &str = "tests/suite/";
    let main = tree.files.get("tests/suite/main.rs").map_or("", String::as_str);
    let declared: BTreeSet<&str> = main
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let files = tree.files.keys().filter_map(|path| path.strip_prefix(FOLDER));
    let modules: BTreeSet<&str> = files
        .filter_map(|file| file.strip_suffix(".rs"))
        .map(|file| file.split('/').next().unwrap_or(file))
        .collect();
    for module in modules.difference(&declared).filter(|module| **module != "main") {
        violations.add(&format!("{FOLDER}{module}"), 0, "not declared in main.rs, so never run");
    }
}

// ------------------------------------------------------------------------------- reading the tree

/// All text files of the repository by their path from its root, with `/` between folders.
struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    fn read() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = BTreeMap::new();
        read_folder(&root, "", &mut files);
        assert!(files.contains_key("Cargo.toml"), "{} is not the root", root.display());
        Tree { files }
    }
}

fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("the tree can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        // What git, cargo and jobs leave behind; `.git` is a file in a second work tree.
        if matches!(name.as_str(), ".git" | "target" | "out") {
            continue;
        }
        if entry.path().is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.insert(path, text);
        }
    }
}

#[derive(Default)]
struct Violations(Vec<String>);

impl Violations {
    /// `index` counts lines from 0.
    fn add(&mut self, path: &str, index: usize, what: impl std::fmt::Display) {
        self.0.push(format!("{path}:{}: {what}", index + 1));
    }
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

// ------------------------------------------------------------------------------- reading Rust code

/// Whether `word` occurs, and not as the end of a longer word or path.
fn holds_word(line: &str, word: &str) -> bool {
    let starts_alone = |(start, _): (usize, &str)| {
        let before = line[..start].chars().next_back();
        word.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || "_.-$}".contains(c))
    };
    line.match_indices(word).any(starts_alone)
}

/// The same text with comments, strings and character literals as blanks; line ends stay.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let follows_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = blank_length(rest, follows_word);
        let (taken, after) = rest.split_at(length.unwrap_or(first.len_utf8()));
        match length {
            Some(_) => code.extend(taken.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => code.push_str(taken),
        }
        rest = after;
    }
    code
}

/// How many bytes at the start of `rest` are a comment or a literal, if any.
fn blank_length(rest: &str, follows_word: bool) -> Option<usize> {
    let end_after = |from: usize, end: &str| {
        rest[from..].find(end).map_or(rest.len(), |length| from + length + end.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(end_after(2, "*/"));
    }
    if rest.starts_with('"') {
        return Some(quoted_length(rest));
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !follows_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return Some(end_after(hashes + 2, &format!("\"{}", "#".repeat(hashes))));
        }
    }
    let inner = rest.strip_prefix('\'')?;
    // A character literal, not a lifetime: `'\n'`, `'x'`.
    if inner.starts_with('\\') {
        return Some(end_after(3, "'"));
    }
    let character = inner.chars().next()?;
    let end = 1 + character.len_utf8();
    rest[end..].starts_with('\'').then_some(end + 1)
}

/// The length of a string literal with its quotes.
fn quoted_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (index, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The code with every item under `#[cfg(test)]` as blanks, and how many lines these were.
fn without_tests(code: &str) -> (String, usize) {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut test_lines = 0;
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        kept.push_str(&rest[..start]);
        let item = &rest[start..start + item_length(&rest[start..])];
        test_lines += item.lines().count();
        kept.extend(item.chars().filter(|c| *c == '\n'));
        rest = &rest[start + item.len()..];
    }
    kept.push_str(rest);
    (kept, test_lines)
}

/// Up to the `;` or the closing brace that ends the item at the start of `code`.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (index, byte) in code.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(byte, b';' | b'}') {
            return index + 1;
        }
    }
    code.len()
}

/// Name, line (from 0) and number of lines of every function with a body.
fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let is_word = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name = code[start + 3..].split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
        let Some(name) = name.filter(|name| is_word && !name.is_empty()) else { continue };
        let body = &code[start..start + item_length(&code[start..])];
        found.push((name, code[..start].matches('\n').count(), body.lines().count()));
    }
    found
}

// ------------------------------------------------------------------------------ reading imports

/// Module to the modules it may import, or `None` without a list.
fn import_rules(architecture: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let (_, list) = architecture.split_once("<!-- import rules -->")?;
    let (list, _) = list.split_once("<!-- /import rules -->")?;
    let rules = list.lines().filter_map(|line| line.trim().split_once(':'));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Some(rules.map(|(module, allowed)| (module.trim().to_owned(), words(allowed))).collect())
}

/// Line (from 0) and path, without `crate::`, of everything the code names by `crate::`.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (start, mark) in code.match_indices("crate::") {
        let is_word = !code[..start].ends_with(|c: char| c.is_alphanumeric() || "_$".contains(c));
        if is_word {
            let mut found = Vec::new();
            expand_use(&code[start + mark.len()..], "", &mut found);
            let line = code[..start].matches('\n').count();
            paths.extend(found.into_iter().map(|path| (line, path)));
        }
    }
    paths
}

/// Adds all paths of the use tree at the start of `tree`, such as `a::{b, c::{d, e as f}}`, and
/// returns its length.
fn expand_use(tree: &str, prefix: &str, found: &mut Vec<String>) -> usize {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let path_length = tree.find(|c| !is_path(c)).unwrap_or(tree.len());
    let path = format!("{prefix}{}", &tree[..path_length]);
    if !tree[path_length..].starts_with('{') {
        found.push(path.trim_end_matches(':').to_owned());
        return path_length;
    }
    let mut at = path_length + 1;
    while let Some(next) = tree[at..].chars().next().filter(|next| *next != '}') {
        at += match is_path(next) {
            true => expand_use(&tree[at..], &path, found),
            false => next.len_utf8(),
        };
        // What follows `as` is a new name, not a path.
        if let Some(renamed) = tree[at..].strip_prefix(" as ") {
            at = tree.len() - renamed.trim_start_matches(is_path).len();
        }
    }
    at + 1
}

// --------------------------------------------------------------------------- tests of the readers

#[test]
fn reads_code_without_comments_strings_and_tests() {
    let text = "fn a<'x>() { // fn b() {\n\
                \"}\\\"{\"; r#\"\"}\"#; '{'; '\\''; b\"{\"; /* } */\n}\n";
    let code = without_comments_and_strings(text);
    assert_eq!(code.lines().count(), 3);
    assert_eq!(functions(&code), [("a", 0, 3)]);
    let (kept, lines) = without_tests("a\n#[cfg(test)]\nmod tests {\n {}\n}\nb\n");
    assert_eq!((kept.as_str(), lines), ("a\n\n\n\n\nb\n", 4));
    assert_eq!(without_tests("#[cfg(test)]\nmod tests;\n").1, 2);
}

#[test]
fn reads_imports_one_by_one() {
    let code = "use crate::a::{B, c::{self, D as E}};\nlet x = crate::f::g(1); $crate::no::X";
    let paths: Vec<_> = crate_paths(code);
    let names: Vec<&str> = paths.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(names, ["a::B", "a::c::self", "a::c::D", "f::g"]);
    assert_eq!(paths[3].0, 1);
    let paper = "x <!-- import rules -->\n```\na: b job::plan\nb:\n```\n<!-- /import rules --> y";
    let rules = import_rules(paper).expect("there is a list");
    assert_eq!(rules["a"], ["b", "job::plan"]);
    assert!(rules["b"].is_empty());
}

#[test]
fn finds_words_only_where_they_start() {
    assert!(holds_word("println!(1)", "println!"));
    assert!(!holds_word("eprintln!(1)", "println!"));
    assert!(holds_word("x.unwrap()", ".unwrap()"));
    assert!(holds_word("(/tmp/x)", "/tmp/") && !holds_word("target/tmp/x", "/tmp/"));
}
