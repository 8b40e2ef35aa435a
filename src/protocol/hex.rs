//! Ids written as lower-case hexadecimal digits.

use std::fmt;

use data_encoding::HEXLOWER;

/// Writes bytes as lower-case hexadecimal digits, the form that every id has on the wire.
pub(super) fn write_hex(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    HEXLOWER.encode_write(bytes, out)
}

pub(super) fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

macro_rules! hex_id {
    ($(#[$docs:meta])* $name:ident, $bytes:literal, $wrong:literal) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Parses exactly the lower-case hexadecimal digits that [`std::fmt::Display`] writes.
            pub fn parse(text: &str) -> Result<Self, $crate::protocol::name::NameError> {
                $crate::protocol::hex::read_hex(text)
                    .map(Self)
                    .ok_or($crate::protocol::name::NameError($wrong))
            }

            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }
        }
    };
}

macro_rules! shown_hex_id {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::protocol::hex::write_hex(&self.0, out)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::protocol::hex::write_hex(&self.0, out)
            }
        }
    };
}

pub(super) use {hex_id, shown_hex_id};
