//! Reading and writing of integers and names in key-store bytes. Big endian. Every read is checked.

use ring::digest::{Context, SHA256};
use vms_core::{CameraId, FindingId, Purpose, RetentionClass, WallTime};

use crate::ids::{Hour, KeyName, Scope};
use crate::secret::Domain;

/// Bytes of a check: SHA-256, cut. It finds accidents; forgery is the matter of the AEAD tags.
pub(crate) const CHECK_LEN: usize = 16;

/// SHA-256 over the parts, each with its length before it, cut to 16 bytes.
pub(crate) fn check(parts: &[&[u8]]) -> [u8; CHECK_LEN] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let mut out = [0_u8; CHECK_LEN];
    for (slot, byte) in out.iter_mut().zip(digest.as_ref()) {
        *slot = *byte;
    }
    out
}

/// Appends.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn time(&mut self, value: WallTime) {
        self.bytes(&value.micros.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.bytes().take(usize::from(u8::MAX)));
    }

    pub(crate) fn domain(&mut self, domain: Domain) {
        self.u8(domain.code());
        self.u32(domain.number());
    }

    pub(crate) fn name(&mut self, name: &KeyName) {
        match name.scope {
            Scope::Camera(camera) => {
                self.u8(1);
                self.bytes(camera.as_bytes());
            }
            Scope::Reads(purpose) => {
                self.u8(2);
                self.text(purpose.as_str());
            }
            Scope::Finding(finding) => {
                self.u8(3);
                self.bytes(finding.as_bytes());
            }
        }
        self.text(name.class.as_str());
        self.u32(name.hour.count());
    }
}

/// Takes from the front.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn time(&mut self) -> Option<WallTime> {
        self.array().map(i64::from_be_bytes).map(WallTime::from_micros)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let len = self.u8()?;
        std::str::from_utf8(self.take(usize::from(len))?).ok()
    }

    pub(crate) fn domain(&mut self) -> Option<Domain> {
        let code = self.u8()?;
        Domain::from_code(code, self.u32()?)
    }

    pub(crate) fn name(&mut self) -> Option<KeyName> {
        let scope = match self.u8()? {
            1 => Scope::Camera(CameraId::from_bytes(self.array()?)),
            2 => Scope::Reads(purpose(self.text()?)?),
            3 => Scope::Finding(FindingId::from_bytes(self.array()?)),
            _ => return None,
        };
        let class = RetentionClass::parse(self.text()?)?;
        Some(KeyName { scope, class, hour: Hour::from_count(self.u32()?) })
    }
}

fn purpose(code: &str) -> Option<Purpose> {
    Purpose::ALL.iter().copied().find(|known| known.as_str() == code)
}
