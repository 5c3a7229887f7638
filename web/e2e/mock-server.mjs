// A stand-in for Belfry's server while the console is developed: docs/API-DESIGN.md with invented data and a film.
// Not a test double of the rules: the gate, the log and the store are the real server's.
//   node e2e/mock-server.mjs [port]        user "demo", any password; user "stranger" has no rights
// Films: target/films/{sub-360p,main-1080p-high}.mp4 when present, else ffmpeg's test picture.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { WebSocketServer } from "ws";
import * as data from "./mock-data.mjs";

const port = Number(process.argv[2] ?? 8090);
const web = new URL("..", import.meta.url).pathname;
const films = join(web, "../target/films");
const work = mkdtempSync(join(tmpdir(), "belfry-mock-"));
const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);

// ---- films as fragments, one frame each, shared by all viewers of a rendition
class Film {
  constructor(name, size) {
    const path = join(films, name);
    const input = existsSync(path)
      ? ["-re", "-stream_loop", "-1", "-i", path, "-an", "-c", "copy"]
      : [
          "-re",
          "-f",
          "lavfi",
          "-i",
          `testsrc2=size=${size}:rate=25`,
          "-c:v",
          "libx264",
          "-tune",
          "zerolatency",
          "-g",
          "50",
          "-bf",
          "0",
        ];
    this.size = size.split("x").map(Number);
    this.viewers = new Set();
    this.gop = [];
    this.seq = 0n;
    this.left = Buffer.alloc(0);
    this.moof = null;
    const flags = "frag_every_frame+empty_moov+default_base_moof";
    this.child = spawn("ffmpeg", [
      "-loglevel",
      "error",
      ...input,
      "-f",
      "mp4",
      "-movflags",
      flags,
      "-flush_packets",
      "1",
      "-",
    ]);
    this.child.stdout.on("data", (chunk) => this.take(chunk));
  }
  take(chunk) {
    this.left = Buffer.concat([this.left, chunk]);
    while (this.left.length >= 8) {
      const size = this.left.readUInt32BE(0);
      if (size < 8 || this.left.length < size) break;
      this.box(this.left.toString("latin1", 4, 8), this.left.subarray(0, size));
      this.left = this.left.subarray(size);
    }
  }
  box(type, bytes) {
    if (type === "ftyp") this.ftyp = bytes;
    else if (type === "moov") {
      this.init = Buffer.concat([this.ftyp, bytes]);
      const avcc = bytes.indexOf("avcC");
      this.codec = `avc1.${bytes.subarray(avcc + 5, avcc + 8).toString("hex")}`;
    } else if (type === "moof") this.moof = bytes;
    else if (type === "mdat" && this.moof !== null) this.fragment(Buffer.concat([this.moof, bytes]), bytes);
  }
  fragment(media, mdat) {
    // A key frame holds an IDR slice (type 5) or starts with a parameter set (type 7).
    const first = mdat[12] & 0x1f;
    const key =
      first === 5 || first === 7 || first === 6 ? mdat.subarray(8).includes(Buffer.from([0x65])) && first !== 1 : false;
    const header = Buffer.alloc(32);
    header[0] = key ? 1 : 0;
    header[1] = 1;
    header.writeUInt16BE(1, 2);
    header.writeBigUInt64BE(this.seq++, 8);
    header.writeBigInt64BE(BigInt(nowUs()), 16);
    const message = Buffer.concat([header, media]);
    if (key || this.gop.length > 300) this.gop = [];
    this.gop.push(message);
    for (const socket of this.viewers) this.send(socket, message);
  }
  send(socket, message) {
    const copy = Buffer.from(message);
    copy.writeBigInt64BE(BigInt(nowUs()), 24);
    socket.send(copy);
  }
  join(socket) {
    if (this.init === undefined) {
      setTimeout(() => this.join(socket), 100);
      return;
    }
    const [width, height] = this.size;
    socket.send(JSON.stringify({ t: "init", init: 1, mime: `video/mp4; codecs="${this.codec}"`, width, height }));
    socket.send(this.init);
    for (const message of this.gop) this.send(socket, message);
    this.viewers.add(socket);
    socket.on("close", () => this.viewers.delete(socket));
  }
}
const sub = new Film("sub-360p.mp4", "640x360");
const main = new Film("main-1080p-high.mp4", "1920x1080");

// ---- pictures and one playback file, made once
function picture(name, filter, size) {
  const path = join(work, name);
  const made = spawnSync("ffmpeg", [
    "-loglevel",
    "error",
    "-y",
    "-f",
    "lavfi",
    "-i",
    `color=0x30363d:size=${size}`,
    "-vf",
    filter,
    "-frames:v",
    "1",
    path,
  ]);
  return made.status === 0 ? readFileSync(path) : Buffer.alloc(0);
}
const still = (plate) =>
  `drawbox=x=8:y=8:w=144:h=36:color=white:t=fill,drawtext=text='${plate}':fontcolor=0xa1131c:fontsize=24:x=(w-tw)/2:y=(h-th)/2`;
const crops = new Map(data.reads.map((read) => [read.id, picture(`${read.id}.jpg`, still(read.plate), "160x52")]));
const overview = picture(
  "overview.jpg",
  "drawbox=x=380:y=200:w=420:h=260:color=0x55606b:t=fill,drawtext=text='overview':fontcolor=white:fontsize=28:x=40:y=40",
  "1280x720",
);
const clip = join(work, "clip.mp4");
const source = join(films, "main-1080p-high.mp4");
const from = existsSync(source)
  ? ["-stream_loop", "9", "-i", source, "-an", "-c", "copy"]
  : ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"];
spawnSync("ffmpeg", [
  "-loglevel",
  "error",
  "-y",
  ...from,
  "-t",
  "60",
  "-movflags",
  "frag_keyframe+empty_moov+default_base_moof",
  clip,
]);

// ---- HTTP
const sessions = new Map();
const tickets = new Map();
const events = new Set();
let count = 0;
const iso = (ms) => new Date(ms).toISOString().replace(/\.(\d{3})Z/, ".$1000Z");
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

function sessionOf(request) {
  const cookie = /belfry_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
  return cookie === undefined ? undefined : sessions.get(cookie);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  const json = (status, body, headers = {}) => {
    response.writeHead(status, {
      "content-type": status >= 400 ? "application/problem+json" : "application/json",
      ...headers,
    });
    response.end(JSON.stringify(body));
  };
  const problem = (status, code, more = {}) =>
    json(status, { type: "about:blank", title: code, status, code, ...more });
  const image = (bytes) => response.writeHead(200, { "content-type": "image/jpeg" }).end(bytes);
  if (!url.pathname.startsWith("/api/")) return file(url.pathname, response);
  let text = "";
  for await (const chunk of request) text += chunk;
  const body = text === "" ? {} : JSON.parse(text);
  const path = url.pathname.slice("/api/v1".length);
  const route = `${request.method} ${path}`;
  if (route === "POST /login") {
    if (body.password === "wrong") return problem(401, "login_failed");
    const token = randomBytes(8).toString("hex");
    sessions.set(token, data.session(body.user_name));
    return json(200, sessions.get(token), {
      "set-cookie": `belfry_session=${token}; HttpOnly; SameSite=Strict; Path=/`,
    });
  }
  const session = sessionOf(request);
  if (session === undefined) return problem(401, "unauthenticated");
  if (request.method !== "GET" && request.headers["x-csrf-token"] !== session.csrf_token) return problem(403, "csrf");
  let match;
  if (route === "GET /session") return json(200, session);
  if (route === "PATCH /session") {
    if (body.language) session.user.language = body.language;
    return json(200, session);
  }
  if (route === "POST /logout") {
    for (const [token, one] of sessions) if (one === session) sessions.delete(token);
    for (const stream of events) stream.end();
    return response.writeHead(204).end();
  }
  if (route === "GET /cameras") return json(200, { items: data.cameras, next_cursor: null });
  if (route === "POST /cameras") {
    if (!body.code) return problem(422, "invalid", { errors: [{ field: "code", problem: "empty" }] });
    const camera = data.draft(body);
    data.cameras.push(camera);
    return json(201, camera);
  }
  if ((match = /^\/cameras\/(\w+)$/.exec(path))) {
    const camera = data.cameras.find((one) => one.id === match[1]);
    return camera === undefined ? problem(404, "not_found") : json(200, camera, { etag: '"1"' });
  }
  if ((match = /^\/cameras\/(\w+)\/(approve|retire|probe)$/.exec(path))) {
    const camera = data.cameras.find((one) => one.id === match[1]);
    if (match[2] === "probe")
      return json(200, {
        ok: true,
        cause: null,
        detail: "",
        codec: "h264",
        width: 1920,
        height: 1080,
        first_key_ms: 412,
        offers_audio: true,
      });
    if (match[2] === "approve" && !camera.legal_basis) return problem(409, "legal_basis_missing");
    camera.state = match[2] === "retire" ? "retired" : camera.state === "draft" ? "approved" : "live";
    return json(200, camera);
  }
  if (/^\/cameras\/\w+\/test-picture$/.test(path)) return image(picture("test.jpg", "boxblur=20", "320x180"));
  if (/^\/cameras\/\w+\/timeline$/.test(path)) return json(200, data.timeline(url.searchParams));
  if (route === "POST /stream-tickets") {
    const camera = data.cameras.find((one) => one.streams.some((stream) => stream.id === body.stream_id));
    if (camera.needs.live?.includes("justification") && !body.purpose.justification)
      return problem(403, "justification_required");
    const ticket = randomBytes(8).toString("hex");
    tickets.set(ticket, { camera, stream: body.stream_id });
    return json(200, { ticket, expires_at: iso(Date.now() + 30_000), decision_id: `dec_${++count}` });
  }
  if (route === "POST /playback-tickets") {
    if (!body.purpose.justification) return problem(403, "justification_required");
    // It has a film, but no single pictures.
    if (body.rendition === "preview") return problem(404, "no_footage");
    const starts = Date.parse(body.from);
    return json(200, {
      playback_id: `pb_${++count}`,
      url: `/api/v1/playback/pb_${count}.mp4`,
      playlist_url: `/api/v1/playback/pb_${count}/index.m3u8`,
      rendition: "original",
      start_offset_us: 0,
      clock: [{ media_us: 0, at: iso(starts) }],
      mime: "video/mp4",
      size: statSync(clip).size,
      starts_at: iso(starts),
      ends_at: iso(Math.min(Date.parse(body.to), starts + 60_000)),
      gaps: [],
      decision_id: `dec_${count}`,
      expires_at: iso(Date.now() + 600_000),
    });
  }
  if (/^\/playback\/\w+\.mp4$/.test(path)) return ranged(clip, request, response);
  if (/^\/playback\/\w+$/.test(path)) return response.writeHead(204).end();
  if (route === "GET /reads") {
    const camera = url.searchParams.get("camera");
    return json(200, {
      items: data.reads.filter((read) => camera === null || read.camera_id === camera),
      next_cursor: null,
      decision_id: "dec_1",
    });
  }
  if (route === "POST /reads/search")
    return json(200, { items: data.reads.filter((read) => read.plate.includes(body.plate)), next_cursor: null });
  if ((match = /^\/(?:reads|findings)\/(\w+)\/(crop|overview)\.jpg$/.exec(path)))
    return image(match[2] === "crop" ? (crops.get(match[1]) ?? crops.values().next().value) : overview);
  if (route === "GET /findings")
    return json(200, {
      items: data.findings.filter((one) => one.state === (url.searchParams.get("state") ?? "open")),
      next_cursor: null,
    });
  if ((match = /^\/findings\/(\w+)$/.exec(path)))
    return json(
      200,
      data.findings.find((one) => one.id === match[1]),
    );
  if ((match = /^\/findings\/(\w+)\/decide$/.exec(path))) {
    const finding = data.findings.find((one) => one.id === match[1]);
    Object.assign(finding, {
      state: { approve: "approved", reject: "rejected", unclear: "unclear", undo: "open" }[body.verdict],
      decided_by: session.user.name,
      decided_at: iso(Date.now()),
      decision_reason: body.reason,
    });
    return json(200, finding);
  }
  if (route === "GET /statistics/places") return json(200, data.counted);
  if ((match = /^\/statistics\/(sites|routes)\/([\w.-]+)\/(?:counts|travel-times)$/.exec(path))) {
    const found = (match[1] === "sites" ? data.counts : data.travelTimes)(match[2], url.searchParams);
    return found === null ? problem(404, "not_found") : json(200, found);
  }
  if (route === "GET /partners") return json(200, { items: data.partners, next_cursor: null });
  if ((match = /^PATCH \/partners\/(\w+)$/.exec(route))) {
    const partner = data.partners.find((one) => one.id === match[1]);
    partner.enabled = body.enabled;
    for (const camera of data.cameras) if (camera.partner?.id === partner.id) camera.partner.enabled = body.enabled;
    return json(200, partner);
  }
  if (/^POST \/partners\/\w+\/catalogue$/.test(route))
    return json(200, { added: 1, changed: 2, retired: 0, refused: [] });
  if (route === "GET /users") return json(200, { items: data.users, next_cursor: null });
  if (route === "POST /users") {
    data.users.push({ ...data.users[0], ...body, id: `usr_${++count}` });
    return json(201, { ...data.users.at(-1), one_time_password: "een-twee-drie-vier" });
  }
  if ((match = /^PATCH \/users\/(\w+)$/.exec(route)))
    return json(
      200,
      Object.assign(
        data.users.find((one) => one.id === match[1]),
        body,
      ),
    );
  if (route === "GET /orgs") return json(200, { items: data.orgs, next_cursor: null });
  if (route === "GET /audit") return json(200, { items: data.leaves(), next_cursor: null });
  if (route === "GET /health/cameras") return json(200, { items: data.health(), next_cursor: null });
  if (route === "GET /events") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": here\n\n");
    events.add(response);
    response.on("close", () => events.delete(response));
    return undefined;
  }
  return problem(404, "not_found");
});

const CSP =
  "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
function file(path, response) {
  const wanted = join(web, "dist", path);
  const found = path !== "/" && !path.includes("..") && existsSync(wanted) ? wanted : join(web, "dist/index.html");
  response.writeHead(200, {
    "content-type": TYPES[extname(found)] ?? "application/octet-stream",
    "content-security-policy": CSP,
  });
  response.end(readFileSync(found));
}

function ranged(path, request, response) {
  const bytes = readFileSync(path);
  const match = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
  const headers = { "content-type": "video/mp4", "accept-ranges": "bytes", etag: '"clip"' };
  if (match === null) return response.writeHead(200, { ...headers, "content-length": bytes.length }).end(bytes);
  const start = Number(match[1]);
  const end = match[2] === "" ? bytes.length - 1 : Math.min(Number(match[2]), bytes.length - 1);
  return response
    .writeHead(206, {
      ...headers,
      "content-range": `bytes ${start}-${end}/${bytes.length}`,
      "content-length": end - start + 1,
    })
    .end(bytes.subarray(start, end + 1));
}

const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "vms.fmp4.v1" });
server.on("upgrade", (request, socket, head) => {
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((word) => word.trim());
  const ticket = offered.find((word) => word.startsWith("ticket."))?.slice("ticket.".length);
  const granted = tickets.get(ticket);
  tickets.delete(ticket);
  if (granted === undefined || sessionOf(request) === undefined) {
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(request, socket, head, (viewer) => {
    if (granted.camera.health?.phase === "waiting") {
      viewer.send(JSON.stringify({ t: "state", phase: "waiting", cause: granted.camera.health.cause }));
      return;
    }
    (granted.stream.startsWith("str_m") ? main : sub).join(viewer);
  });
});
setInterval(() => {
  const read = data.newRead();
  crops.set(read.id, crops.values().next().value);
  for (const response of events)
    response.write(
      `id: ${++count}\nevent: read\ndata: ${JSON.stringify({ id: read.id, camera_id: read.camera_id, at: read.at })}\n\n`,
    );
}, 15_000).unref();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    sub.child.kill();
    main.child.kill();
    process.exit(0);
  });
}
server.listen(port, "127.0.0.1", () => process.stdout.write(`mock Belfry on http://127.0.0.1:${port}\n`));
