// Shapes of the web API as the screens use them, over the generated `schema.generated.ts` (from openapi.json). Two things are added
// here: what may be null is always told (the description can't say that), and words that the screens tell apart are listed.

import type { components } from "./schema.generated";

type Schemas = components["schemas"];

/** Every field is told, null where there is nothing, but for those named, which may be missing. */
type Told<T, Missing extends keyof T = never> = Required<Omit<T, Missing>> & Pick<T, Missing>;
/** Fields of a narrower type; a field that the description does not know does not compile. */
type Narrow<T, N extends { [K in keyof N]: K extends keyof T ? T[K] : never }> = Omit<T, keyof N> & N;

export type Org = Schemas["OrgView"];
export type Purpose = Told<Schemas["PurposeDto"], "magistrate_ref">;
export type LegalBasis = Told<Schemas["LegalBasisDto"]>;
/** A change of legal fields, proposed by one person and settled by another. */
export type LegalChange = Narrow<
  Told<Schemas["LegalChangeView"]>,
  {
    state: "waiting" | "approved" | "refused" | "withdrawn";
    changes: Told<Schemas["FieldChangeView"]>[];
  }
>;
/** An evidence export, with what the caller may do with it. */
export type Export = Narrow<
  Told<Schemas["ExportView"]>,
  {
    state:
      "waits" | "refused" | "withdrawn" | "queued" | "running" | "paused" | "done" | "failed" | "cancelled" | "removed";
  }
>;
export type ExportBody = Schemas["ExportDto"];
export type ExportFile = Schemas["ExportFileView"];
/** A hold on footage, with what the caller may do with it. */
export type Hold = Narrow<Told<Schemas["HoldView"]>, { state: "held" | "release_waits" | "released" }>;
export type HoldBody = Schemas["HoldDto"];
/** A decision to keep footage or police reads behind the magistrate's gate, with what the caller may do with it. */
export type Gated = Narrow<Told<Schemas["GatedView"]>, { state: "proposed" | "in_force" | "refused" }>;
export type GatedBody = Schemas["GatedDto"];
/** An order to search police reads behind the gate, with what the caller may do with it. */
export type GatedSearch = Narrow<Told<Schemas["GatedSearchView"]>, { state: "proposed" | "in_force" | "refused" }>;
export type GatedSearchBody = Schemas["GatedSearchDto"];
export type LegalChangeBody = Schemas["LegalChangeDto"];
export type Ticket = Schemas["StreamTicketView"];
export type WireSpan = Schemas["BarView"];
export type Timeline = Schemas["TimelineView"];
export type PlaybackTicket = Schemas["PlaybackView"];
export type Pictures = Schemas["PicturesView"];
export type Health = Told<Schemas["HealthView"]>;
export type CameraHealth = Told<Schemas["CameraHealthView"]>;
export type Probe = Told<Schemas["ProbeView"]>;
export type Read = Told<Schemas["ReadView"]>;
export type Reason = Schemas["ReasonView"];
export type Partner = Schemas["PartnerView"];
/** What the import of a partner's camera list did. */
export type CatalogueResult = Schemas["CatalogueView"];
/** `one_time_password` only in the answer that made the account or reset its password. */
export type User = Told<Schemas["UserView"], "one_time_password">;
export type Leaf = Told<Schemas["AuditView"]>;
export type FieldError = Schemas["FieldError"];

export type Session = Narrow<
  Schemas["SessionView"],
  { user: Narrow<Schemas["UserRef"], { language: "nl" | "fr" | "en" }> }
> & {
  pending?: "second_factor" | "enrolment" | "hardware_key" | "hardware_enrolment";
  profiles?: string[];
  fresh_until?: string;
};

/** Address, transport and credentials in the single view of those who may change the camera. */
export type Stream = Told<Schemas["StreamView"], "url" | "transport" | "has_credentials">;

export type CameraWord = "draft" | "approved" | "live" | "retired";
export type Camera = Narrow<
  Told<Schemas["CameraView"], "legal_basis" | "pictogram_on">,
  {
    owner: Org;
    relation: "own" | "shared" | "other";
    state: CameraWord;
    streams: Stream[];
    health: Health;
  }
>;

export type Finding = Narrow<
  Told<Schemas["FindingView"]>,
  { state: "open" | "approved" | "rejected" | "unclear"; verdict: "infraction" | "warning" | "undetermined" }
>;

export type CameraBody = Schemas["CameraDto"];
export type CameraPatch = Schemas["CameraPatchDto"];
export type StreamBody = Schemas["StreamDto"];
export type UserBody = Schemas["UserDto"];
export type UserPatch = Schemas["UserPatchDto"];
export type PartnerBody = Schemas["PartnerDto"];

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  /** The logged decision under which the list was given; its pictures belong to it. */
  decision_id?: string;
}
