//! The one door to what runs instances.
