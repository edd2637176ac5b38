//! The first answer that cannot be explained.

use crate::history::CallId;
use crate::model::Model;
use crate::part::Part;
use crate::search::{Budget, Found};

/// A part of a history that is not linearizable.
///
/// What is linearizable stays so when its latest answers are taken away, as if those calls were still under way. So there is one
/// answer before which the part is linearizable, and with which it is not: the longest linearizable prefix ends just before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key that the part is about; none if there are several.
    pub key: Option<Vec<u8>>,
    /// The calls of the part, in the order of their invocations.
    pub calls: Vec<CallId>,
    /// An order of the longest linearizable prefix: of all calls that were answered before `unplaced`, and of some that
    /// were under way then.
    pub order: Vec<CallId>,
    /// The call whose answer cannot be explained together with the answers before it.
    pub unplaced: CallId,
    /// Whether that is certain. If the time ran out, `order` may be of a shorter prefix, and the first answer that cannot be
    /// explained an earlier one than that of `unplaced`, behind that prefix.
    pub is_exact: bool,
}

/// Finds the first answer with which a part is not linearizable, which it is not as a whole.
pub(crate) fn blame<M: Model>(part: &Part<'_, M>, budget: &mut Budget<'_>) -> Violation {
    let returns = part.timing().returns();
    // With so many answers it is linearizable, in this order; with so many it is not.
    let (mut good, mut order, mut bad) = (0, Vec::new(), returns.len());
    let mut is_exact = true;
    while is_exact && good + 1 < bad {
        let middle = good + (bad - good) / 2;
        match crate::find(&part.before(middle), budget) {
            Found::Order(found) => (good, order) = (middle, found),
            Found::Nothing => bad = middle,
            Found::Unknown => is_exact = false,
        }
    }
    let id = |call: usize| CallId(part.indexes[call]);
    Violation {
        key: part.key.map(<[u8]>::to_vec),
        calls: part.indexes.iter().copied().map(CallId).collect(),
        order: order.into_iter().map(id).collect(),
        unplaced: id(returns[bad - 1]),
        is_exact,
    }
}
