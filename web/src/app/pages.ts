// Which pages exist and which rights open them. A page that the rights don't allow is not shown.

import {
  Activity,
  Bell,
  BellRing,
  Bot,
  Car,
  Cctv,
  ChartColumn,
  ClipboardCheck,
  Gavel,
  Grid2x2,
  Handshake,
  History,
  KeyRound,
  ListChecks,
  type LucideIcon,
  MonitorCheck,
  PackageCheck,
  Scale,
  ScrollText,
  SearchCheck,
  Share2,
  Siren,
  Snowflake,
  Ticket,
  UserRoundSearch,
  Users,
} from "lucide-react";

export interface PageInfo {
  path: string;
  key: string;
  icon: LucideIcon;
  /** Any one of these. */
  rights: string[];
}

export const PAGES: readonly PageInfo[] = [
  { path: "/wall", key: "wall", icon: Grid2x2, rights: ["live"] },
  { path: "/playback", key: "playback", icon: History, rights: ["playback"] },
  { path: "/reads", key: "reads", icon: Car, rights: ["reads.live", "reads.search"] },
  { path: "/hits", key: "hits", icon: BellRing, rights: ["hit.review"] },
  {
    path: "/watchlist",
    key: "watchlist",
    icon: ListChecks,
    rights: ["watchlist.view", "watchlist.edit", "watchlist.summary"],
  },
  {
    path: "/findings",
    key: "findings",
    icon: ClipboardCheck,
    rights: ["finding.review", "zbt.review", "trajectory.review"],
  },
  { path: "/permits", key: "permits", icon: Ticket, rights: ["permit.edit", "permit.view"] },
  { path: "/holds", key: "holds", icon: Snowflake, rights: ["hold.set", "hold.release", "audit.view"] },
  { path: "/gated", key: "gated", icon: Gavel, rights: ["gated.propose", "gated.approve"] },
  { path: "/searches", key: "searches", icon: SearchCheck, rights: ["reads.search", "gated.approve"] },
  { path: "/exports", key: "exports", icon: PackageCheck, rights: ["export", "export.approve", "audit.view"] },
  { path: "/counts", key: "counts", icon: ChartColumn, rights: ["statistics.view"] },
  {
    path: "/cameras",
    key: "cameras",
    icon: Cctv,
    // Who audits reads the register: each camera's legal basis, and every change of it.
    rights: ["camera.edit", "camera.approve", "camera.retire", "camera.test_picture", "audit.view"],
  },
  { path: "/partners", key: "partners", icon: Handshake, rights: ["partner.admin"] },
  {
    path: "/sharing",
    key: "sharing",
    icon: Share2,
    rights: ["grant.view", "grant.request", "camera.share"],
  },
  { path: "/events", key: "events", icon: Siren, rights: ["event.view", "event.activate", "break_glass"] },
  {
    path: "/oversight",
    key: "oversight",
    icon: Scale,
    rights: ["flow.view", "flow.stop", "complaint.handle", "report.view"],
  },
  { path: "/subjects", key: "subjects", icon: UserRoundSearch, rights: ["subject_request.handle"] },
  {
    path: "/notices",
    key: "notices",
    icon: Bell,
    rights: ["grant.view", "complaint.handle", "partner.approve", "camera.retire.approve", "partner.admin"],
  },
  { path: "/matrix", key: "matrix", icon: KeyRound, rights: ["matrix.view"] },
  { path: "/stations", key: "stations", icon: MonitorCheck, rights: ["user.admin"] },
  { path: "/machines", key: "machines", icon: Bot, rights: ["user.admin"] },
  { path: "/users", key: "users", icon: Users, rights: ["user.admin"] },
  { path: "/audit", key: "audit", icon: ScrollText, rights: ["audit.view"] },
  { path: "/health", key: "health", icon: Activity, rights: ["health.view"] },
];

export function allowedPages(rights: readonly string[]): PageInfo[] {
  return PAGES.filter((page) => page.rights.some((right) => rights.includes(right)));
}
