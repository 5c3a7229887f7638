import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import type { Session } from "../api/types";
import { NothingHere, Shell } from "./Shell";
import { allowedPages, PAGES } from "./pages";

interface RouterContext {
  session: Session;
}

const rootRoute = createRootRouteWithContext<RouterContext>()({ component: Shell, notFoundComponent: NothingHere });

function first(session: Session): string {
  return allowedPages(session.rights)[0]?.path ?? "/none";
}

/** A page opened by its address without the right goes to the first allowed one. */
function guard(path: string) {
  return ({ context }: { context: RouterContext }) => {
    const page = PAGES.find((one) => one.path === path);
    const allowed = page?.rights.some((right) => context.session.rights.includes(right)) ?? false;
    if (!allowed) throw redirect({ to: first(context.session) });
  };
}

const indexRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  beforeLoad: ({ context }) => {
    throw redirect({ to: first(context.session) });
  },
});
const noneRoute = createRoute({ getParentRoute: () => rootRoute, path: "/none", component: NothingHere });

const wallRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/wall",
  beforeLoad: guard("/wall"),
  component: lazyRouteComponent(() => import("../routes/wall/WallPage"), "WallPage"),
});

export interface PlaybackSearch {
  camera?: string;
  /** Further cameras under the same playhead. */
  with?: string[];
  /** Instant, milliseconds since 1970. */
  at?: number;
}
const playbackRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/playback",
  validateSearch: (raw: Record<string, unknown>): PlaybackSearch => ({
    ...(typeof raw["camera"] === "string" ? { camera: raw["camera"] } : {}),
    ...(Array.isArray(raw["with"])
      ? { with: raw["with"].filter((one): one is string => typeof one === "string").slice(0, 8) }
      : {}),
    ...(typeof raw["at"] === "number" ? { at: raw["at"] } : {}),
  }),
  beforeLoad: guard("/playback"),
  component: lazyRouteComponent(() => import("../routes/playback/PlaybackPage"), "PlaybackPage"),
});

export interface ReadsSearch {
  camera?: string;
}
const readsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/reads",
  validateSearch: (raw: Record<string, unknown>): ReadsSearch =>
    typeof raw["camera"] === "string" ? { camera: raw["camera"] } : {},
  beforeLoad: guard("/reads"),
  component: lazyRouteComponent(() => import("../routes/reads/ReadsPage"), "ReadsPage"),
});

const hitsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/hits",
  beforeLoad: guard("/hits"),
  component: lazyRouteComponent(() => import("../routes/watchlist/HitsPage"), "HitsPage"),
});
const watchlistRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/watchlist",
  beforeLoad: guard("/watchlist"),
  component: lazyRouteComponent(() => import("../routes/watchlist/WatchlistPage"), "WatchlistPage"),
});
const findingsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/findings",
  beforeLoad: guard("/findings"),
  component: lazyRouteComponent(() => import("../routes/findings/FindingsPage"), "FindingsPage"),
});
const permitsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/permits",
  beforeLoad: guard("/permits"),
  component: lazyRouteComponent(() => import("../routes/permits/PermitsPage"), "PermitsPage"),
});
export interface HoldsSearch {
  /** Opens the form for this camera. */
  camera?: string;
  /** Span, milliseconds since 1970. */
  from?: number;
  to?: number;
}
const holdsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/holds",
  validateSearch: (raw: Record<string, unknown>): HoldsSearch => ({
    ...(typeof raw["camera"] === "string" ? { camera: raw["camera"] } : {}),
    ...(typeof raw["from"] === "number" ? { from: raw["from"] } : {}),
    ...(typeof raw["to"] === "number" ? { to: raw["to"] } : {}),
  }),
  beforeLoad: guard("/holds"),
  component: lazyRouteComponent(() => import("../routes/holds/HoldsPage"), "HoldsPage"),
});
const gatedRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/gated",
  beforeLoad: guard("/gated"),
  component: lazyRouteComponent(() => import("../routes/gated/GatedPage"), "GatedPage"),
});
const searchesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/searches",
  beforeLoad: guard("/searches"),
  component: lazyRouteComponent(() => import("../routes/searches/SearchesPage"), "SearchesPage"),
});
export type ExportsSearch = HoldsSearch;
const exportsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/exports",
  validateSearch: (raw: Record<string, unknown>): ExportsSearch => ({
    ...(typeof raw["camera"] === "string" ? { camera: raw["camera"] } : {}),
    ...(typeof raw["from"] === "number" ? { from: raw["from"] } : {}),
    ...(typeof raw["to"] === "number" ? { to: raw["to"] } : {}),
  }),
  beforeLoad: guard("/exports"),
  component: lazyRouteComponent(() => import("../routes/exports/ExportsPage"), "ExportsPage"),
});
const countsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/counts",
  beforeLoad: guard("/counts"),
  component: lazyRouteComponent(() => import("../routes/counts/CountsPage"), "CountsPage"),
});
const camerasRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/cameras",
  beforeLoad: guard("/cameras"),
  component: lazyRouteComponent(() => import("../routes/cameras/CamerasPage"), "CamerasPage"),
});
const partnersRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/partners",
  beforeLoad: guard("/partners"),
  component: lazyRouteComponent(() => import("../routes/partners/PartnersPage"), "PartnersPage"),
});
const sharingRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/sharing",
  beforeLoad: guard("/sharing"),
  component: lazyRouteComponent(() => import("../routes/sharing/SharingPage"), "SharingPage"),
});
const eventsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/events",
  beforeLoad: guard("/events"),
  component: lazyRouteComponent(() => import("../routes/sharing/EventsPage"), "EventsPage"),
});
const oversightRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/oversight",
  beforeLoad: guard("/oversight"),
  component: lazyRouteComponent(() => import("../routes/oversight/OversightPage"), "OversightPage"),
});
const subjectsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/subjects",
  beforeLoad: guard("/subjects"),
  component: lazyRouteComponent(() => import("../routes/oversight/SubjectsPage"), "SubjectsPage"),
});
const noticesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/notices",
  beforeLoad: guard("/notices"),
  component: lazyRouteComponent(() => import("../routes/notices/NoticesPage"), "NoticesPage"),
});
const matrixRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/matrix",
  beforeLoad: guard("/matrix"),
  component: lazyRouteComponent(() => import("../routes/matrix/MatrixPage"), "MatrixPage"),
});
const stationsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/stations",
  beforeLoad: guard("/stations"),
  component: lazyRouteComponent(() => import("../routes/stations/StationsPage"), "StationsPage"),
});
const machinesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/machines",
  beforeLoad: guard("/machines"),
  component: lazyRouteComponent(() => import("../routes/machines/MachinesPage"), "MachinesPage"),
});
const usersRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/users",
  beforeLoad: guard("/users"),
  component: lazyRouteComponent(() => import("../routes/users/UsersPage"), "UsersPage"),
});
const accountRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/account",
  component: lazyRouteComponent(() => import("../routes/account/AccountPage"), "AccountPage"),
});
const auditRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/audit",
  beforeLoad: guard("/audit"),
  component: lazyRouteComponent(() => import("../routes/audit/AuditPage"), "AuditPage"),
});
const healthRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/health",
  beforeLoad: guard("/health"),
  component: lazyRouteComponent(() => import("../routes/health/HealthPage"), "HealthPage"),
});

export const router = createRouter({
  routeTree: rootRoute.addChildren([
    indexRoute,
    noneRoute,
    wallRoute,
    playbackRoute,
    readsRoute,
    hitsRoute,
    watchlistRoute,
    findingsRoute,
    permitsRoute,
    holdsRoute,
    gatedRoute,
    searchesRoute,
    exportsRoute,
    countsRoute,
    camerasRoute,
    partnersRoute,
    sharingRoute,
    eventsRoute,
    oversightRoute,
    subjectsRoute,
    noticesRoute,
    matrixRoute,
    stationsRoute,
    machinesRoute,
    usersRoute,
    accountRoute,
    auditRoute,
    healthRoute,
  ]),
  context: { session: undefined as unknown as Session },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
