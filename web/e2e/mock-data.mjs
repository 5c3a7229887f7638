// Invented cameras, reads and findings for the mock server. No real plate, name or address stands here.
const iso = (ms) => new Date(ms).toISOString().replace(/\.(\d{3})Z/, ".$1000Z");
const org = (id, code, name_nl, name_fr) => ({ id, code, name_nl, name_fr });

export const orgs = [
  org("org_pz", "5339", "Politiezone Brussel-Hoofdstad-Elsene", "Zone de police Bruxelles-Capitale-Ixelles"),
  org("org_bm", "BM", "Brussel Mobiliteit", "Bruxelles Mobilité"),
  org("org_mivb", "MIVB", "MIVB", "STIB"),
];
const RIGHTS = [
  "live",
  "playback",
  "camera.list",
  "camera.edit",
  "camera.approve",
  "camera.retire",
  "camera.test_picture",
  "reads.live",
  "reads.search",
  "finding.review",
  "audit.view",
  "health.view",
  "user.admin",
  "partner.admin",
  "statistics.view",
];

export function session(name) {
  return {
    user: { id: `usr_${name}`, user_name: name, name: name === "demo" ? "An Voorbeeld" : name, language: "nl" },
    org: orgs[0],
    profile: "P02",
    rights: name === "stranger" ? [] : RIGHTS,
    csrf_token: "mock",
    expires_at: iso(Date.now() + 12 * 3_600_000),
    idle_expires_at: iso(Date.now() + 900_000),
  };
}

const PLACES = [
  ["Grote Markt", "Grand-Place"],
  ["Beurs", "Bourse"],
  ["De Brouckèreplein", "Place De Brouckère"],
  ["Kunst-Wet", "Arts-Loi"],
  ["Rogierplein", "Place Rogier"],
  ["Elsensepoort", "Porte de Namur"],
  ["Flageyplein", "Place Flagey"],
  ["Zuidstation", "Gare du Midi"],
  ["Wetstraat 16", "Rue de la Loi 16"],
  ["Leopold II-tunnel", "Tunnel Léopold II"],
  ["Louizaplein", "Place Louise"],
  ["Jubelpark", "Cinquantenaire"],
];
const base = (i, [name_nl, name_fr]) => ({
  id: `cam_${i}`,
  code: `BXL-${String(i).padStart(3, "0")}`,
  call_up: 100 + i,
  name_nl,
  name_fr,
  owner: orgs[0],
  relation: "own",
  partner: null,
  kind: i % 4 === 0 ? "lez" : "overview",
  lat: 50.84 + i / 1000,
  lon: 4.35 + i / 1000,
  state: "live",
  retention_class: "RC-VID-OPEN",
  streams: [
    { id: `str_m${i}`, use: "main", codec: "h264", width: 1920, height: 1080, url: `rtsp://10.20.0.${i}/main` },
    { id: `str_s${i}`, use: "sub", codec: "h264", width: 640, height: 360, url: `rtsp://10.20.0.${i}/sub` },
  ],
  health: { phase: "live", cause: null, last_frame_at: iso(Date.now()) },
  may: { live: true, playback: true, reads: true, edit: true, approve: true, propose_law: true, test_picture: true },
  needs: { playback: ["justification"] },
  legal_basis: { document: "Gemeenteraad 2024/117", date: "2024-06-24", advice: "Korpschef, 3 mei 2024" },
  pictogram_on: "2024-09-01",
});
export const cameras = PLACES.map((place, i) => base(i + 1, place));
cameras[6].health = { phase: "waiting", cause: "unreachable", last_frame_at: iso(Date.now() - 400_000) };
cameras[7].streams = [{ ...cameras[7].streams[0], codec: "h265" }];
cameras[10] = {
  ...cameras[10],
  owner: orgs[1],
  relation: "shared",
  needs: { live: ["justification"], playback: ["justification"] },
};
cameras[11] = { ...cameras[11], owner: orgs[1], relation: "shared" };
export const partners = [
  {
    id: "org_mivb",
    name: "MIVB / STIB",
    enabled: true,
    org: orgs[2],
    cameras: 2,
    last_catalogue_at: iso(Date.now() - 7_200_000),
  },
];
for (const [i, place] of [
  ["Metro Beekkant", "Métro Beekkant"],
  ["Metro Kruidtuin", "Métro Botanique"],
].entries()) {
  cameras.push({
    ...base(40 + i, place),
    call_up: 400 + i,
    owner: orgs[2],
    relation: "shared",
    partner: { id: "org_mivb", name: "MIVB / STIB", enabled: true },
    health: { phase: "idle", cause: null, last_frame_at: null },
    may: { ...cameras[0].may, playback: false, reads: false },
    needs: {},
  });
}
cameras.push({
  ...base(60, ["Vossenplein", "Place du Jeu de Balle"]),
  state: "draft",
  legal_basis: null,
  health: null,
});

export function draft(body) {
  return {
    ...base(900 + cameras.length, [body.name_nl, body.name_fr]),
    ...body,
    owner: orgs[0],
    state: "draft",
    health: null,
    streams: body.streams.map((stream, i) => ({
      id: `str_d${cameras.length}${i}`,
      use: stream.use,
      codec: null,
      width: null,
      height: null,
      url: stream.url,
    })),
  };
}

const PLATES = [
  ["1-BLF-026", "BE"],
  ["2-DEM-117", "BE"],
  ["BV-714-H", "NL"],
  ["AB-345-CD", "FR"],
  ["1-TST-903", "BE"],
  ["T-LEZ-001", "BE"],
];
const read = (i, at) => ({
  id: `rea_${i}`,
  camera_id: `cam_${[4, 8, 12][i % 3]}`,
  at: iso(at),
  plate: PLATES[i % 6][0],
  country: PLATES[i % 6][1],
  country_confidence: 0.97 - (i % 4) * 0.11,
  confidence: [0.994, 0.972, 0.861, 0.71][i % 4],
  corrected: i % 4 === 2,
  direction: i % 2 ? "approaching" : "away",
  looks: 6 + i,
  model: "anpr-1",
  has_crop: true,
  has_overview: true,
});
export const reads = Array.from({ length: 14 }, (_, i) => read(i, Date.now() - i * 41_000));
let next = 100;
export function newRead() {
  const made = read(next++, Date.now());
  reads.unshift(made);
  return made;
}

const finding = (i, verdict, reasons, amount_cents) => ({
  id: `fnd_${i}`,
  state: "open",
  kind: "lez",
  verdict,
  rule_id: "LEZ-2025-M1-DIESEL",
  amount_cents,
  currency: amount_cents === null ? null : "EUR",
  at: iso(Date.now() - i * 600_000),
  camera: { id: "cam_4", code: "BXL-004", name_nl: "Kunst-Wet", name_fr: "Arts-Loi" },
  plate: PLATES[i % 6][0],
  country: PLATES[i % 6][1],
  reasons,
  registry: {
    category: "M1",
    fuel: "diesel",
    norm: "Euro 4",
    first_registration: "2009-03-17",
    country: "BE",
    source: "registry-stub",
  },
  rule_set: "2026-01",
  etag: `"${i}"`,
  decided_by: null,
  decided_at: null,
  decision_reason: null,
  place: null,
  exit: null,
  measured: null,
  second_person_needed: false,
});
export const findings = [
  finding(1, "infraction", [{ code: "norm_below_minimum", params: { norm: "Euro 4", minimum: "Euro 6" } }], 35_000),
  finding(
    2,
    "warning",
    [{ code: "norm_below_minimum", norm: "Euro 5", minimum: "Euro 6" }, { code: "first_infraction" }],
    null,
  ),
  finding(4, "undetermined", [{ code: "norm_missing" }, { code: "plate_corrected" }], null),
];

export const users = [
  {
    id: "usr_demo",
    name: "An Voorbeeld",
    user_name: "demo",
    org_id: "org_pz",
    profile: "P02",
    language: "nl",
    disabled: false,
    last_used_at: iso(Date.now()),
  },
  {
    id: "usr_2",
    name: "Luc Exemple",
    user_name: "luc",
    org_id: "org_pz",
    profile: "P01",
    language: "fr",
    disabled: false,
    last_used_at: iso(Date.now() - 86_400_000),
  },
  {
    id: "usr_3",
    name: "Sam Sample",
    user_name: "sam",
    org_id: "org_bm",
    profile: "P07",
    language: "en",
    disabled: true,
    last_used_at: iso(Date.now() - 999_000_000),
  },
];
export const leaves = () =>
  Array.from({ length: 20 }, (_, i) => ({
    index: 500 - i,
    at: iso(Date.now() - i * 31_000),
    operation: i % 3 ? "open" : "close",
    org_id: "org_pz",
    user_id: "usr_demo",
    decision_id: `dec_${500 - i}`,
    details: {
      right: i % 2 ? "live" : "playback",
      camera: "BXL-004",
      purpose: "INTERVENTIE",
      justification: "Ongeval op de kruising",
      outcome: "allow",
    },
  }));
export const health = () =>
  cameras
    .filter((camera) => camera.state === "live")
    .map((camera) => ({
      camera_id: camera.id,
      phase: camera.health?.phase ?? "idle",
      cause: camera.health?.cause ?? null,
      last_frame_at: camera.health?.phase === "live" ? iso(Date.now() - 60) : (camera.health?.last_frame_at ?? null),
      durable_until: camera.partner !== null || camera.health?.phase === "waiting" ? null : iso(Date.now() - 1800),
    }));

const begun = Date.now() - 3 * 3_600_000;
export function timeline(search) {
  const now = Date.now() - 2000;
  const spans = [
    [begun, begun + 4_000_000],
    [begun + 4_045_000, now - 520_000],
    [now - 505_000, now],
  ];
  const clip = spans
    .map(([a, b]) => [Math.max(a, Date.parse(search.get("from"))), Math.min(b, Date.parse(search.get("to")))])
    .filter(([a, b]) => b > a);
  return {
    stream_id: search.get("stream"),
    segments: clip.map(([a, b]) => ({ from: iso(a), to: iso(b) })),
    gaps: [
      { from: iso(begun + 4_000_000), to: iso(begun + 4_045_000), cause: "recorder_restart" },
      { from: iso(now - 520_000), to: iso(now - 505_000), cause: "unreachable" },
    ],
    reads: reads.map((one) => ({ at: one.at, id: one.id })),
    clocks: [
      { at: iso(begun + 4_045_000), what: "host_stepped" },
      { at: iso(now - 400_000), what: "camera_off" },
    ],
  };
}

// ---- counts and travel times: a day by the quarter of an hour, few vehicles by night
export const counted = {
  sites: [
    ["LEZ-N-1", "Havenlaan noord", "Avenue du Port nord", "Avenue du Port north", 20, 15, [1, 2], false],
    ["LEZ-S-1", "Havenlaan zuid", "Avenue du Port sud", "Avenue du Port south", 200, 15, [1, 2], true],
    [
      "TUN-W",
      "Leopold II-tunnel, stad in",
      "Tunnel Léopold II, vers la ville",
      "Leopold II tunnel, into town",
      95,
      60,
      [1],
      false,
    ],
  ].map(([code, name_nl, name_fr, name_en, orientation, minutes, lanes, by_lane]) => ({
    code,
    name_nl,
    name_fr,
    name_en,
    orientation,
    lat: 50.865,
    lon: 4.35,
    minutes,
    by_lane,
    lanes,
  })),
  routes: [{ code: "HAVEN", from: "LEZ-N-1", to: "LEZ-S-1", shortest_s: 40, longest_s: 400 }],
};

/** Cells that a span of time has, as far as they are over. */
function cells(params, minutes, make) {
  const from = Date.parse(params.get("from"));
  const to = Math.min(Date.parse(params.get("to")), Date.now() - 10_000);
  const items = [];
  for (let at = from; at + minutes * 60_000 <= to; at += minutes * 60_000)
    items.push(...make(at, at + minutes * 60_000, new Date(at).getUTCHours() + 1));
  return { items, next_cursor: null };
}

export function counts(code, params) {
  const site = counted.sites.find((one) => one.code === code);
  if (site === undefined) return null;
  return cells(params, site.minutes, (from, to, hour) => {
    // One restart of the night: the cell that it fell in was not whole.
    if (hour === 4 && new Date(from).getUTCMinutes() < 15) return [];
    return (site.by_lane ? site.lanes : [null]).map((lane) => {
      const busy =
        hour < 6 ? 3 : 40 + 90 * Math.exp(-((hour - 8.5) ** 2) / 4) + 110 * Math.exp(-((hour - 17.5) ** 2) / 5);
      const count = Math.round((busy * site.minutes) / 15 + ((from / 900_000) % 5));
      const small = count < 5;
      return { lane, from: iso(from), to: iso(to), count: small ? null : count, speed_kmh: null, suppressed: small };
    });
  });
}

export function travelTimes(code, params) {
  if (!counted.routes.some((one) => one.code === code)) return null;
  return cells(params, 5, (from, to, hour) => {
    if (hour < 6 || (from / 300_000) % 7 === 0) return [];
    const mean_s = 65 + 5 * Math.round((hour === 8 || hour === 17 ? 14 : 2) + ((from / 300_000) % 4));
    return [{ from: iso(from), to: iso(to), mean_s, sample: ["5-9", "10-29", "30+"][(from / 300_000) % 3] }];
  });
}
