//! The CSV codec: what it reads, what it refuses, and that it reads what it writes.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> T {
    Csv::decode(line.as_bytes()).map(|Csv(value)| value).unwrap()
}

fn refuse<'a, T: Deserialize<'a> + fmt::Debug>(line: &'a [u8]) -> String {
    Csv::<T>::decode(line).unwrap_err().to_string()
}

fn write<T: Serialize>(value: T) -> String {
    let mut out = Vec::new();
    Csv(value).encode(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Level {
    Low,
    High,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Reading<'a> {
    id: &'a str,
    #[serde(borrow)]
    place: (&'a str, Option<u8>),
    value: f64,
    level: Level,
}

#[test]
fn reads_tuples_structs_lists_and_scalars() {
    assert_eq!(read::<(&str, &str, i64)>("alice,/home,1000"), ("alice", "/home", 1000));
    let reading = Reading { id: "s1", place: ("hall", None), value: 50.0, level: Level::High };
    assert_eq!(read::<Reading>("s1,hall,,50.0,High"), reading);
    assert_eq!(write(&reading), "s1,hall,,50.0,High");
    assert_eq!(read::<Vec<u8>>("1,2,3"), [1, 2, 3]);
    assert_eq!(read::<(char, Vec<bool>)>("x,true,false"), ('x', vec![true, false]));
    assert_eq!(read::<u64>("18446744073709551615"), u64::MAX);
    assert_eq!(read::<i64>("-9223372036854775808"), i64::MIN);
    assert_eq!(read::<&[u8]>("abc"), b"abc");
}

#[test]
fn empty_fields() {
    assert_eq!(read::<(&str, &str)>(","), ("", ""));
    assert_eq!(read::<&str>(""), "");
    assert_eq!(read::<Vec<&str>>(""), Vec::<&str>::new());
    assert_eq!(read::<(Option<u8>, Option<&str>)>("7,"), (Some(7), None));
    assert_eq!(read::<Option<&str>>("\"\""), Some(""));
}

#[test]
fn spaces_are_part_of_a_field() {
    assert_eq!(read::<(&str, &str)>(" a , b"), (" a ", " b"));
    assert!(refuse::<(&str, u8)>(b"a, 1").starts_with("field 2: expected an integer"));
}

#[test]
fn quotes() {
    assert_eq!(read::<(&str, &str)>("\"a,b\",c"), ("a,b", "c"));
    assert_eq!(read::<(String, u8)>("\"say \"\"hi\"\"\",\"1\""), ("say \"hi\"".to_owned(), 1));
    assert_eq!(read::<(&str, &str)>("a\"b,\"\""), ("a\"b", ""));
    assert_eq!(read::<&str>("\"two\nlines\""), "two\nlines");
    assert_eq!(
        refuse::<(&str, &str)>(b"a,\"b"),
        "field 2: the closing quote is missing in \"a,\\\"b\""
    );
    assert_eq!(
        refuse::<(&str, &str)>(b"\"a\"b,c"),
        "field 1: text after the closing quote in \"\\\"a\\\"b,c\""
    );
    // An escaped quote has to be unescaped somewhere: such a field cannot be borrowed.
    assert!(refuse::<&str>(b"\"a\"\"b\"").contains("expected a borrowed string"));
}

#[test]
fn wrong_numbers_of_fields() {
    assert_eq!(refuse::<(&str, &str, i64)>(b"a,b"), "expected 3 fields, found 2 in \"a,b\"");
    assert_eq!(refuse::<(&str, &str)>(b"a,b,c,d"), "expected 2 fields, found 4 in \"a,b,c,d\"");
    assert_eq!(refuse::<u8>(b"1,2"), "expected 1 field, found 2 in \"1,2\"");
    assert_eq!(refuse::<((u8, u8), u8)>(b"1,2"), "expected more than 2 fields, found 2 in \"1,2\"");
}

#[test]
fn wrong_fields_are_numbered_and_quoted() {
    assert_eq!(
        refuse::<(&str, i64)>(b"a,noon"),
        "field 2: expected an integer, found \"noon\" in \"a,noon\""
    );
    assert_eq!(
        refuse::<(u8, f64)>(b"300,1.0"),
        "field 1: expected an integer, found \"300\" in \"300,1.0\""
    );
    assert_eq!(
        refuse::<(u8, &str)>(b"1,a\xff"),
        "field 2: expected UTF-8 text, found \"a\u{fffd}\" in \"1,a\u{fffd}\""
    );
    assert!(refuse::<(u8, Level)>(b"1,Mid").starts_with("field 2: unknown variant `Mid`"));
    assert!(refuse::<u8>(b"").starts_with("field 1: expected an integer, found \"\""));
    assert!(refuse::<i64>(b"9223372036854775808").starts_with("field 1: expected an integer"));
    assert!(refuse::<i64>(b"-").starts_with("field 1: expected an integer"));
}

#[test]
fn writes_numbers_and_quotes() {
    assert_eq!(write((50.0, 0.1, -1i8, 1.5f32, true, 'x')), "50.0,0.1,-1,1.5,true,x");
    assert_eq!(write(("a,b", "say \"hi\"", "", None::<u8>)), "\"a,b\",\"say \"\"hi\"\"\",,");
    assert_eq!(write(((1, 2), [3, 4], Level::Low)), "1,2,3,4,Low");
    let map = std::collections::BTreeMap::from([(1, 2)]);
    let error = Csv(map).encode(&mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "Csv writes fields by position and cannot write a map");
}

proptest! {
    #[test]
    fn writes_floats_as_the_standard_library_does(
        few in -1_000_000_i64..1_000_000,
        many: i64,
        places in 0..20,
        bits: u64,
    ) {
        let values = [few as f64, many as f64].map(|digits| digits / 10_f64.powi(places));
        for value in values.into_iter().chain([f64::from_bits(bits)]) {
            prop_assert_eq!(write(value), format!("{value:?}"));
        }
    }

    #[test]
    fn reads_what_it_writes(a: String, b: i64, c: Option<u32>, d: f64, e: String, f: bool) {
        prop_assume!(!d.is_nan());
        let row = (a, b, c, d, e, f);
        let line = write(&row);
        prop_assert_eq!(read::<(String, i64, Option<u32>, f64, String, bool)>(&line), row);
    }

    #[test]
    fn integers_are_those_that_the_standard_library_reads(
        text in "-{0,2}[0-9]{0,24}[0-9a/:\u{80}]?",
        after in "(,[0-9]{0,12})?",
    ) {
        let line = format!("{text}{after}");
        let read = Csv::<(i64, Vec<String>)>::decode(line.as_bytes()).ok();
        let rest: Vec<String> = after.split(',').skip(1).map(str::to_owned).collect();
        let expected = text.parse::<i64>().ok().map(|value| (value, rest));
        prop_assert_eq!(read.map(|Csv(row)| row), expected);
        let small = Csv::<(i8, Vec<String>)>::decode(line.as_bytes()).ok();
        prop_assert_eq!(small.map(|Csv((value, _))| value), text.parse::<i8>().ok());
    }

    #[test]
    fn floats_are_those_that_the_standard_library_reads(
        text in "-?[0-9]{0,10}(\\.[0-9]{0,10})?(e-?[0-9]{1,2})?"
    ) {
        let expected = text.parse::<f64>().ok().map(f64::to_bits);
        let found = Csv::<f64>::decode(text.as_bytes()).ok().map(|Csv(value)| value.to_bits());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn never_panics(line: Vec<u8>) {
        let _ = Csv::<(&str, String, Option<i64>)>::decode(&line);
        let _ = Csv::<Vec<String>>::decode(&line);
        let _ = Csv::<(f64, Level)>::decode(&line);
    }
}
