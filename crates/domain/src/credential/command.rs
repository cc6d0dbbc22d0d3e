use crate::{
    credential::{Checked, Registered},
    ids::ValueId,
};

/// What a credential can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Be there. Its value is stored already.
    Register(Registered),
    /// Have another value, which is stored already.
    Rotate {
        /// Where it is.
        value: ValueId,
    },
    /// This is what the forge said.
    Check(Checked),
    /// Be good for nothing any more.
    Revoke,
}
