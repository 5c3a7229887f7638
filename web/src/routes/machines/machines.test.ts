import i18n from "i18next";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { I18nextProvider, initReactI18next } from "react-i18next";
import { beforeAll, describe, expect, it } from "vitest";
import type { Certificate } from "../../api/machines";
import {
  certificateState,
  fingerprintOf,
  fingerprintOfDer,
  fingerprintWords,
  holdsPrivateKey,
  notAfterOf,
  pemToDer,
} from "../../domain/certificate";
import en from "../../i18n/en.json";
import fr from "../../i18n/fr.json";
import nl from "../../i18n/nl.json";
import { CertificateTable } from "./CertificateTable";

// Made with `openssl req -x509`; the second ends after 2049, where the standard changes the form of dates.
const GATEWAY = `-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUOG8awnPQw6wrsmZrpX+7jkjtzIIwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMbWl2Yi1nYXRld2F5MB4XDTI2MTEyMzA1MzMxNVoXDTI3MDkx
OTA1MzMxNVowFzEVMBMGA1UEAwwMbWl2Yi1nYXRld2F5MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEFV429LdIBKEYy7294RcD0cODMg12l+uGXxCZqoX6Z1YsdYTl
39ONH4itKbTZwmuPrmA4cszFlc0uZ74dVOBv7KNTMFEwHQYDVR0OBBYEFLWw91aZ
TWUjynTWiNLocC1++6MYMB8GA1UdIwQYMBaAFLWw91aZTWUjynTWiNLocC1++6MY
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgVzNIPKFVVQVNGHSO
X7ybyVRtAJNUCcnvnDk7NV6Pr3UCIQDCiqiggzFamt/fvKTUwjDEaDvCGRapv8md
nryJOCC5Fg==
-----END CERTIFICATE-----`;
const LATE = `-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUUMKlLA347rCwZs1UUCtayvwnMUIwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbGF0ZTAgFw0yNjExMjMwNTMzMTZaGA8yMDk1MDUwNTA1MzMx
NlowDzENMAsGA1UEAwwEbGF0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKzJ
gcAglYLgXapQQ618VXW8HeSeaRpQSUD6Oc8NORKVxQyWDWAu/vhHeP3TOlC9SDU5
GNvHUQRKZ8w/Vag/JqGjUzBRMB0GA1UdDgQWBBQJycqxb8eXiTDX8EuGoCPjZ3VC
jDAfBgNVHSMEGDAWgBQJycqxb8eXiTDX8EuGoCPjZ3VCjDAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQDiQq9o0zHXtv05gDC6PfIreTf67gvHPmXD
56HKfY5T+gIhAK6nCwpdk7zjmSyRaWs7HI/L+F+BZwl0gsTQxQSnet3Y
-----END CERTIFICATE-----`;
const GATEWAY_SHA256 = "7390678fd8a99ce1ffbf25f13c9bc64dabf18f769952c1a10b32ac60d3c909e3";
const LATE_SHA256 = "8495c7274c2d45520fb8ccd4cf20cd53f2d37732be798ac8c3900832a1ecef82";

describe("a certificate in hand", () => {
  it.each([
    [GATEWAY, GATEWAY_SHA256, "2027-09-19T05:33:15.000Z"],
    [LATE, LATE_SHA256, "2095-05-05T05:33:16.000Z"],
  ])("has openssl's fingerprint and last instant", async (pem, sha256, until) => {
    const der = pemToDer(pem);
    if (der === null) throw new Error("no certificate");
    expect(await fingerprintOfDer(der)).toBe(sha256);
    expect(new Date(notAfterOf(der) ?? 0).toISOString()).toBe(until);
    // Cut anywhere, it has a last instant or none, and throws nothing.
    for (let end = 0; end < der.length; end += 1) expect(notAfterOf(der.slice(0, end))).toBeNull();
  });
  it.each(["", "hello", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----"])("is not in %j", (text) =>
    expect(pemToDer(text)).toBeNull(),
  );
  it("tells a private key beside it", () => {
    expect(holdsPrivateKey(GATEWAY)).toBe(false);
    expect(holdsPrivateKey(`${GATEWAY}\n-----BEGIN EC PRIVATE KEY-----\nAA==`)).toBe(true);
  });
  it.each([
    [GATEWAY_SHA256, GATEWAY_SHA256],
    [`sha256 Fingerprint=${GATEWAY_SHA256.toUpperCase().replace(/(..)(?=.)/g, "$1:")}\n`, GATEWAY_SHA256],
    [GATEWAY_SHA256.slice(1), null],
    [`${GATEWAY_SHA256}0`, null],
    ["", null],
  ])("reads %j", (text, want) => expect(fingerprintOf(text)).toBe(want));
});

const NOW = Date.parse("2026-11-23T12:00:00Z");
const one = (name: string, ends_at: string, revoked_at: string | null): Certificate => ({
  fingerprint: GATEWAY_SHA256,
  name,
  made_at: "2026-11-01T10:00:00Z",
  ends_at,
  revoked_at,
  used_at: null,
});
const CASES: [Certificate, ReturnType<typeof certificateState>][] = [
  [one("next-year", "2027-11-01T00:00:00Z", null), "counts"],
  [one("in-a-month", "2026-12-23T12:00:00Z", null), "soon"],
  [one("a-bit-later", "2026-12-23T12:00:00.001Z", null), "counts"],
  [one("now", "2026-11-23T12:00:00Z", null), "ended"],
  [one("taken-back", "2027-11-01T00:00:00Z", "2026-11-20T10:00:00Z"), "revoked"],
  [one("taken-back-and-over", "2026-11-01T00:00:00Z", "2026-10-20T10:00:00Z"), "revoked"],
];

it.each(CASES)("stands as it does", (certificate, want) => expect(certificateState(certificate, NOW)).toBe(want));

describe.each([
  ["en", en],
  ["nl", nl],
  ["fr", fr],
])("the table in %s", (language, words) => {
  beforeAll(async () => {
    await i18n.use(initReactI18next).init({ lng: language, resources: { [language]: { translation: words } } });
  });
  it("shows each one's fingerprint, state and end, and a button for those that are not taken back", () => {
    const table = createElement(CertificateTable, {
      machine: "Gateway",
      certificates: CASES.map(([certificate], at) => ({
        ...certificate,
        fingerprint: GATEWAY_SHA256.slice(2) + String(at + 10),
      })),
      nowMs: NOW,
      onRevoke: () => undefined,
    });
    const html = renderToStaticMarkup(createElement(I18nextProvider, { i18n }, table));
    const rows = html.split("<tr>").slice(2);
    expect(rows).toHaveLength(CASES.length);
    rows.forEach((row, at) => {
      const [certificate, state] = CASES[at] ?? [one("", "", null), "ended"];
      expect(row).toContain(certificate.name);
      expect(row).toContain(words.certificateState[state]);
      expect(row).toContain(fingerprintWords(GATEWAY_SHA256.slice(2) + String(at + 10)));
      expect(row.includes(`>${words.machines.revoke}</button>`)).toBe(state !== "revoked");
    });
    expect(rows[0]).toContain("01/11/2027");
  });
});
