import { createContext, useContext } from "react";
import type { Session } from "../api/types";

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("used outside a session");
  return session;
}

export function useRight(): (right: string) => boolean {
  const { rights } = useSession();
  return (right) => rights.includes(right);
}
