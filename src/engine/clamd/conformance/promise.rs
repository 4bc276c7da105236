//! What a policy relies on, against what a clamd does.

use crate::verdict::Heuristics;

/// What the policy relies on and this clamd keeps silent about, each naming both sides and the remedy.
pub(in crate::engine::clamd) fn broken_promises(relied: Heuristics, named: Heuristics) -> Vec<&'static str> {
    let sides = [
        (
            relied.limits && !named.limits,
            "the policy refuses what could not be scanned completely, but this clamd says OK when it gives up: set \
             `AlertExceedsMax yes` in clamd.conf",
        ),
        (
            relied.encrypted && !named.encrypted,
            "the policy refuses encrypted archives, but this clamd says OK to them: set `AlertEncrypted yes` in clamd.conf",
        ),
        (
            relied.macros && !named.macros,
            "the policy decides on documents with macros, but this clamd says OK to them: set `AlertOLE2Macros yes` in \
             clamd.conf",
        ),
    ];
    sides.into_iter().filter_map(|(is_broken, text)| is_broken.then_some(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_matters_only_to_a_policy_that_relies_on_words() {
        let all = Heuristics { limits: true, encrypted: true, macros: true };
        let none = Heuristics::default();
        assert_eq!(broken_promises(none, none).len(), 0);
        assert_eq!(broken_promises(all, all).len(), 0);
        assert_eq!(broken_promises(all, none).len(), 3);
        let default = Heuristics { macros: false, ..all };
        let texts = broken_promises(default, Heuristics { limits: true, ..none });
        assert!(texts.len() == 1 && texts[0].contains("AlertEncrypted yes"), "{texts:?}");
    }
}
