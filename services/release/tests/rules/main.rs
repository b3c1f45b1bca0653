//! What makes each item of version 2 true, and every way in which it is not.

mod policy;
mod step1;
mod walk;
