//! A JSON value together with the way to it, so that every error can name its field.

use serde_json::{Map, Value};

use crate::http::error::words;
use crate::http::{ApiError, Text};

/// A field of a request, there or not.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    value: Option<&'a Value>,
    /// Such as `messages[0].content`.
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value: Some(value), path: String::new() }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A member of an object; of anything else, a field that is not there.
    pub(super) fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value: self.value.and_then(|value| value.get(name)), path }
    }

    /// None where it is missing or null.
    pub(super) fn optional(&self) -> Option<Self> {
        self.value.filter(|value| !value.is_null()).map(|_| self.clone())
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Some(Value::Null))
    }

    pub(super) fn required(self) -> Result<Self, ApiError> {
        match self.value {
            None => {
                let message = words::missing(&self.path);
                Err(ApiError { code: "missing_field".into(), ..ApiError::invalid(self.path, message) })
            }
            Some(_) => Ok(self),
        }
    }

    pub(super) fn string(&self) -> Result<&'a str, ApiError> {
        self.value.and_then(Value::as_str).ok_or_else(|| self.expected(words::a_string()))
    }

    pub(super) fn non_empty_string(&self) -> Result<&'a str, ApiError> {
        self.string()
            .ok()
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| self.expected(words::a_string_not_empty()))
    }

    pub(super) fn bool(&self) -> Result<bool, ApiError> {
        self.value.and_then(Value::as_bool).ok_or_else(|| self.expected(words::a_boolean()))
    }

    pub(super) fn u64(&self) -> Result<u64, ApiError> {
        self.value.and_then(Value::as_u64).ok_or_else(|| self.expected(words::a_whole_number()))
    }

    pub(super) fn number(&self) -> Result<(), ApiError> {
        self.value.filter(|value| value.is_number()).map(|_| ()).ok_or_else(|| self.expected(words::a_number()))
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>, ApiError> {
        self.value.and_then(Value::as_object).ok_or_else(|| self.expected(words::an_object()))
    }

    /// The string, or none for an object.
    pub(super) fn string_or_object(&self) -> Result<Option<&'a str>, ApiError> {
        match self.value {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Object(_)) => Ok(None),
            _ => Err(self.expected(words::string_or_object())),
        }
    }

    pub(super) fn items(&self) -> Result<Vec<Self>, ApiError> {
        let items = self.value.and_then(Value::as_array).ok_or_else(|| self.expected(words::an_array()))?;
        let item = |(index, value)| Self { value: Some(value), path: format!("{}[{index}]", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// A 400: the value is not what it should be.
    pub(super) fn expected(&self, what: Text) -> ApiError {
        let found = match self.value {
            None => words::found_nothing(),
            Some(Value::Null) => words::found_null(),
            Some(Value::Bool(_)) => words::found_boolean(),
            Some(Value::Number(_)) => words::a_number(),
            Some(Value::String(text)) if text.is_empty() => words::found_empty_string(),
            Some(Value::String(_)) => words::a_string(),
            Some(Value::Array(items)) if items.is_empty() => words::found_empty_array(),
            Some(Value::Array(_)) => words::an_array(),
            Some(Value::Object(_)) => words::an_object(),
        };
        let name = if self.path.is_empty() { words::the_body() } else { words::the_field(&self.path) };
        let error = ApiError::invalid(self.path.clone(), words::expected(name, what, found));
        ApiError { param: error.param.filter(|param| !param.is_empty()), ..error }
    }

    /// A 400: understood, but not to be had here.
    pub(super) fn unsupported(&self, message: Text) -> ApiError {
        ApiError { code: "unsupported".into(), ..ApiError::invalid(self.path.clone(), message) }
    }

    /// A 400 with a reason of its own.
    pub(super) fn wrong(&self, reason: Text) -> ApiError {
        ApiError::invalid(self.path.clone(), words::wrong(&self.path, reason))
    }
}
