//! Placeholder of the layout; filled in its own change.
