//! "Did you mean": the nearest of the names that are known.

use strsim::damerau_levenshtein;

/// The known name nearest to `name`, if one is near enough to be meant: at most a third of it
/// differs.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let longer = lower.chars().count().max(candidate.chars().count());
            *distance <= (longer / 3).max(1) && *distance < longer
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint for a name that is not known: the nearest one, or all of them.
///
/// `what` names them in the plural: "keys", "operators".
pub fn hint<'a>(name: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None => format!("known {what}: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_listed() {
        assert_eq!(nearest("paralelism", ["name", "parallelism"]), Some("parallelism"));
        assert_eq!(nearest("form", ["from", "path"]), Some("from"));
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest("a", ["ab"]), Some("ab"));
        assert_eq!(hint("zzz", "keys", ["id", "path"]), "known keys: id, path");
        assert_eq!(hint("zzz", "parameters", []), "there are no parameters");
    }
}
