//! Folders by event time: the pattern `%Y-%m-%d/%H` sorts what happened on 26 November 2026 at
//! half past two in the afternoon into `2026-11-26/14`. All times are UTC.

use super::TIME_NONE;

/// Where records go that have no event time, or one outside the years 0 to 9999.
pub const NO_TIME_FOLDER: &str = "no-event-time";

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// The first and the last day, counted from 1970, of the years that have four digits.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// How event times become names of folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPattern {
    text: String,
    parts: Vec<Part>,
    /// Within so many milliseconds the folder stays the same; a divisor of a day.
    span_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
    Minute,
}

/// A folder, and the event times from `from` up to but not including `until` that go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSpan {
    /// Its name, without slashes at its ends.
    pub folder: String,
    /// The first time.
    pub from: i64,
    /// The time after the last.
    pub until: i64,
}

impl FolderSpan {
    /// Whether this time goes there. There may be more times that do.
    pub fn holds(&self, time: i64) -> bool {
        (self.from..self.until).contains(&time)
    }
}

impl FolderPattern {
    /// Reads a pattern: text, slashes, and `%Y`, `%m`, `%d`, `%H`, `%M`.
    ///
    /// # Errors
    /// What it must not be: the end of a sentence that begins with the pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        for folder in text.split('/') {
            if folder.is_empty() {
                return Err("which has an empty name between its slashes".into());
            }
            if folder.starts_with('.') || folder.starts_with("part-") {
                return Err(format!("which has {folder:?}; that begins as files of a sink do"));
            }
        }
        let (mut parts, mut span_ms) = (Vec::new(), 0);
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let (part, span) = match character {
                '%' => match characters.next() {
                    Some('Y') => (Part::Year, DAY_MS),
                    Some('m') => (Part::Month, DAY_MS),
                    Some('d') => (Part::Day, DAY_MS),
                    Some('H') => (Part::Hour, HOUR_MS),
                    Some('M') => (Part::Minute, MINUTE_MS),
                    other => {
                        let word: String = other.into_iter().collect();
                        return Err(format!("which has %{word}, and that is no part of a time"));
                    }
                },
                plain if plain.is_ascii_alphanumeric() || "-_=./:".contains(plain) => {
                    if let Some(Part::Text(before)) = parts.last_mut() {
                        before.push(plain);
                        continue;
                    }
                    (Part::Text(plain.into()), 0)
                }
                other => return Err(format!("which has {other:?}, and names here have none")),
            };
            parts.push(part);
            span_ms = match (span_ms, span) {
                (before, 0) => before,
                (0, span) => span,
                (before, span) => before.min(span),
            };
        }
        if span_ms == 0 {
            return Err("which is the same at all times".into());
        }
        Ok(Self { text: text.to_owned(), parts, span_ms })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder of an event time.
    pub fn folder_of(&self, time: i64) -> FolderSpan {
        let day = time.div_euclid(DAY_MS);
        if time == TIME_NONE || !DAYS.contains(&day) {
            let folder = NO_TIME_FOLDER.to_owned();
            return FolderSpan { folder, from: time, until: time.saturating_add(1) };
        }
        let (year, month, of_month) = date(day);
        let of_day = time.rem_euclid(DAY_MS);
        let mut folder = String::new();
        for part in &self.parts {
            let (number, digits) = match part {
                Part::Text(text) => {
                    folder.push_str(text);
                    continue;
                }
                Part::Year => (year, 4),
                Part::Month => (month, 2),
                Part::Day => (of_month, 2),
                Part::Hour => (of_day / HOUR_MS, 2),
                Part::Minute => (of_day % HOUR_MS / MINUTE_MS, 2),
            };
            folder.push_str(&format!("{number:0digits$}"));
        }
        let from = time - time.rem_euclid(self.span_ms);
        FolderSpan { folder, from, until: from + self.span_ms }
    }

    /// Whether a folder is one that this pattern makes.
    pub fn makes(&self, folder: &str) -> bool {
        if folder == NO_TIME_FOLDER {
            return true;
        }
        let mut rest = folder;
        for part in &self.parts {
            let length = match part {
                Part::Text(text) => match rest.strip_prefix(text.as_str()) {
                    Some(after) => {
                        rest = after;
                        continue;
                    }
                    None => return false,
                },
                Part::Year => 4,
                Part::Month | Part::Day | Part::Hour | Part::Minute => 2,
            };
            match rest.split_at_checked(length) {
                Some((number, after)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    rest = after;
                }
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

/// Year, month and day of a day counted from 1970: Howard Hinnant's `civil_from_days`.
pub fn date(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> FolderPattern {
        FolderPattern::parse(text).expect("it is one")
    }

    #[test]
    fn days_have_dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(-1), (1969, 12, 31));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_783), (2026, 11, 26));
        assert_eq!((date(*DAYS.start()), date(*DAYS.end())), ((0, 1, 1), (9999, 12, 31)));
        // Every day follows the one before it.
        let mut before = date(-200_000);
        for day in -199_999..200_000 {
            let (year, month, of_month) = date(day);
            let next = match before {
                (year, month, last) if of_month == last + 1 => (year, month, last + 1),
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, 28..) => (year, month + 1, 1),
                other => panic!("{other:?} is followed by {:?}", (year, month, of_month)),
            };
            assert_eq!((year, month, of_month), next);
            before = next;
        }
    }

    #[test]
    fn times_have_folders_that_the_pattern_knows() {
        let noon = 1_795_703_400_000; // 2026-11-26 14:30:00
        for (text, folder, span) in [
            ("%Y-%m-%d", "2026-11-26", DAY_MS),
            ("day=%Y%m%d/hour=%H", "day=20261126/hour=14", HOUR_MS),
            ("%Y/%m", "2026/11", DAY_MS),
            ("%H:%M", "14:30", MINUTE_MS),
        ] {
            let pattern = pattern(text);
            let found = pattern.folder_of(noon + 59_999);
            assert_eq!((found.folder.as_str(), found.until - found.from), (folder, span));
            assert!(found.holds(noon) && !found.holds(found.until));
            assert!(pattern.makes(folder), "{folder}");
            assert!(!pattern.makes(&format!("{folder}0")) && !pattern.makes("late"));
        }
    }

    #[test]
    fn what_has_no_time_has_a_folder_too() {
        let pattern = pattern("%Y-%m-%d");
        for time in [TIME_NONE, i64::MAX, i64::MIN + 1] {
            let found = pattern.folder_of(time);
            assert_eq!(found.folder, NO_TIME_FOLDER);
            assert!(time == i64::MAX || found.holds(time));
        }
        assert_eq!(pattern.folder_of(-1).folder, "1969-12-31");
        assert!(pattern.makes(NO_TIME_FOLDER));
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for text in ["", "a", "/%Y", "%Y/", "%Y//%m", "../%Y", ".%Y", "part-%Y", "%Q", "%", "%Y ü"]
        {
            assert!(FolderPattern::parse(text).is_err(), "{text:?}");
        }
    }
}
