// Shapes of docs/API-DESIGN.md. Fields that a later server may leave out are optional here.

export interface Org {
  id: string;
  code: string;
  name_nl: string;
  name_fr: string;
}

export interface Session {
  user: { id: string; name: string; user_name?: string; language: "nl" | "fr" | "en" };
  org: Org;
  profile: string;
  rights: string[];
  csrf_token: string;
  expires_at: string;
  idle_expires_at: string;
  /** Nothing but a new password is allowed. */
  password_change_required?: boolean;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  /** The logged decision under which the list was given; its pictures belong to it. */
  decision_id?: string;
}

export interface Health {
  phase: string;
  cause: string | null;
  last_frame_at: string | null;
}

export interface Stream {
  id: string;
  use: string;
  codec: string | null;
  width: number | null;
  height: number | null;
  url?: string | null;
  transport?: string | null;
  has_credentials?: boolean | null;
}

export interface Camera {
  id: string;
  code: string;
  call_up: number | null;
  name_nl: string;
  name_fr: string;
  owner: Org;
  relation: "own" | "shared" | "other";
  partner: { id: string; name: string; enabled: boolean } | null;
  kind: string;
  lat: number | null;
  lon: number | null;
  state: "draft" | "approved" | "live" | "retired";
  retention_class: string | null;
  streams: Stream[];
  health: Health | null;
  may: {
    live: boolean;
    playback: boolean;
    reads: boolean;
    edit: boolean;
    approve: boolean;
    test_picture: boolean;
  };
  needs: { live?: string[]; playback?: string[]; test_picture?: string[] } | null;
  /** In the single view. */
  legal_basis?: LegalBasis | null;
  pictogram_on?: string | null;
}

export interface LegalBasis {
  document: string;
  date: string;
  advice: string;
}

export interface Purpose {
  code: string;
  justification: string | null;
  case_ref: string | null;
}

export interface Ticket {
  ticket: string;
  expires_at: string;
  decision_id: string;
}

export interface WireSpan {
  from: string;
  to: string;
}

export interface Timeline {
  stream_id: string;
  segments: WireSpan[];
  gaps: (WireSpan & { cause: string })[];
  reads: { at: string; id: string }[];
}

export interface PlaybackTicket {
  playback_id: string;
  url: string;
  mime: string;
  size: number;
  starts_at: string;
  ends_at: string;
  gaps: (WireSpan & { cause: string })[];
  decision_id: string;
  expires_at: string;
}

export interface Read {
  id: string;
  camera_id: string;
  at: string;
  plate: string;
  country: string | null;
  country_confidence: number | null;
  confidence: number;
  corrected: boolean;
  direction: string | null;
  looks: number | null;
  model: string | null;
  has_crop: boolean;
  has_overview: boolean;
}

export interface Reason {
  code: string;
  params?: Record<string, string | number | boolean | null>;
}

export interface Finding {
  id: string;
  state: "open" | "approved" | "rejected" | "unclear";
  kind: string;
  verdict: "infraction" | "warning" | "undetermined";
  rule_id: string | null;
  amount_cents: number | null;
  currency: string | null;
  at: string;
  camera: { id: string; code: string; name_nl: string; name_fr: string };
  plate: string;
  country: string | null;
  reasons: Reason[];
  registry: Record<string, unknown> | null;
  rule_set: string | null;
  etag: string;
  decided_by: string | null;
  decided_at: string | null;
  decision_reason: string | null;
  /** The plate must be confirmed against the picture before anything is made of the outcome. */
  confirm_plate_first?: boolean;
  /** First instant from which no day pass can undo it any more. */
  final_from?: string | null;
  has_crop?: boolean;
  has_overview?: boolean;
  decision_id?: string;
}

export interface Partner {
  id: string;
  name: string;
  enabled: boolean;
  catalogue_url?: string | null;
  agreement?: LegalBasis | null;
}

/** What the import of a partner's camera list did. */
export interface CatalogueResult {
  added: number;
  changed: number;
  retired: number;
  refused: { code: string; field: string; problem: string }[];
}

export interface User {
  id: string;
  org_id: string;
  user_name: string;
  name: string;
  profile: string;
  language: string;
  disabled: boolean;
  last_used_at: string | null;
  created_at?: string;
  /** Only in the answer that made the account or reset its password. */
  one_time_password?: string;
}

export interface Leaf {
  index: number;
  at: string;
  operation: string;
  org_id: string | null;
  user_id: string | null;
  decision_id: string | null;
  details: unknown;
}

export interface CameraHealth {
  camera_id: string;
  phase: string;
  cause: string | null;
  last_frame_at: string | null;
  durable_until: string | null;
  should_record?: boolean;
  bits_per_s?: number;
  packets_lost?: number;
}
