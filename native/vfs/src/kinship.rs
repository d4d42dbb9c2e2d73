//! Which inodes of two trees are one thing, by their numbers: what tells a rename from a removal
//! and an addition.
//!
//! Within a workspace a number is never used twice, so equal numbers are one thing. A fork goes on
//! with the numbers that its source would have given out next, and so does the source: from there
//! on equal numbers are different things. What a merge made of the other side's files has numbers
//! of its own; such pairs have to be named.

use std::collections::HashMap;

use crate::ids::Ino;

/// What two trees have in common; by default they are of one workspace.
#[derive(Clone, Default, Debug)]
pub struct Kinship {
    apart_from: Option<Ino>,
    /// For either side: number there, and what it is on the other one.
    twins: [HashMap<Ino, Ino>; 2],
}

impl Kinship {
    /// Of two workspaces that gave numbers out on their own from this one on; of two that have
    /// nothing in common, from 0 on.
    pub fn apart_from(number: Ino) -> Kinship {
        Kinship { apart_from: Some(number), ..Kinship::default() }
    }

    /// These pairs (numbers in the first tree and in the second one) are one thing each.
    pub fn with_twins(mut self, twins: impl IntoIterator<Item = (Ino, Ino)>) -> Kinship {
        for (first, second) in twins {
            self.twins[0].insert(first, second);
            self.twins[1].insert(second, first);
        }
        self
    }

    /// Whether equal numbers from this one on are different things.
    pub fn is_apart(&self, ino: Ino) -> bool {
        self.apart_from.is_some_and(|from| ino >= from)
    }

    /// The number on the other side of what has this one on `side` (0 or 1), if it can be there,
    /// and whether the pair was named.
    pub(crate) fn other(&self, side: usize, ino: Ino) -> Option<(Ino, bool)> {
        if let Some(twin) = self.twins[side].get(&ino) {
            return Some((*twin, true));
        }
        // What has a twin is not also the one of its own number.
        let taken = self.twins[1 - side].contains_key(&ino);
        (!taken && !self.is_apart(ino)).then_some((ino, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_one_thing_below_the_parting_and_where_they_were_named() {
        let own = Kinship::default();
        assert_eq!(own.other(0, Ino(7)), Some((Ino(7), false)));
        let kin = Kinship::apart_from(Ino(20)).with_twins([(Ino(21), Ino(30))]);
        assert_eq!(kin.other(0, Ino(19)), Some((Ino(19), false)));
        assert_eq!(kin.other(1, Ino(20)), None);
        assert_eq!(kin.other(0, Ino(21)), Some((Ino(30), true)));
        assert_eq!(kin.other(1, Ino(30)), Some((Ino(21), true)));
        assert_eq!((kin.other(1, Ino(21)), kin.other(0, Ino(30))), (None, None));
        assert_eq!(Kinship::apart_from(Ino(0)).other(0, Ino(1)), None);
    }
}
