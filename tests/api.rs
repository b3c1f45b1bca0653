//! The API, module by module as its URLs: first what all of them share, then each resource.

mod conventions;
mod freezes;
mod operations;
mod releases;
