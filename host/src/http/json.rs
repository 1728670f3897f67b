//! JSON answers. Each ends with a line feed, so that a shell's prompt and a next file begin on a line of their own.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The answer that a value makes.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let text = serde_json::to_string(&self.0).expect("answers have keys of text and no failing part");
        as_json(text + "\n")
    }
}

/// The answer that a text of JSON makes.
pub fn as_json(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
