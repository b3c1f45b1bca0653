//! What the tests stand on: a world of their own, people in it, and what they say.

pub mod answer;
pub mod bodies;
pub mod client;
pub mod collector;
pub mod events;
pub mod issuer;
pub mod process;
pub mod raw;
pub mod story;
pub mod world;

pub use answer::Answer;
pub use client::{Client, Request};
pub use world::{Opened, World};
