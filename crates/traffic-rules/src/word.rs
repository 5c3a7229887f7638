//! Serde forms of types that carry none themselves, and the code words of the tables.

/// Declares a code word of the tables: a short text that names one entry of one table.
macro_rules! code_word {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a code; whether an entry has it is the table's matter.
            pub fn new(code: impl Into<String>) -> Self {
                Self(code.into())
            }

            /// The code.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use code_word;

/// A [`vms_core::WallTime`] as a number of microseconds since 1970-01-01T00:00:00Z.
pub mod instant {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use vms_core::WallTime;

    /// Writes the microseconds.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.micros)
    }

    /// Reads the microseconds.
    ///
    /// # Errors
    /// When there is no integer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WallTime, D::Error> {
        i64::deserialize(deserializer).map(WallTime::from_micros)
    }
}

/// An optional [`vms_core::WallTime`], as [`instant`].
pub mod instant_opt {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use vms_core::WallTime;

    /// Writes the microseconds, or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Option<WallTime>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.micros).serialize(serializer)
    }

    /// Reads the microseconds, or nothing.
    ///
    /// # Errors
    /// When there is something else than an integer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<WallTime>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(WallTime::from_micros))
    }
}

/// A [`vms_core::Country`] as its distinguishing sign.
pub mod country {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use vms_core::Country;

    /// Writes the sign.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(country: &Country, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(country.as_str())
    }

    /// Reads the sign.
    ///
    /// # Errors
    /// When it is not 1 to 3 upper-case letters.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Country, D::Error> {
        let sign = String::deserialize(deserializer)?;
        Country::parse(&sign).ok_or_else(|| D::Error::custom("a country's sign is 1 to 3 upper-case letters"))
    }
}
