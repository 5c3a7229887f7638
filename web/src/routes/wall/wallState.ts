import { store } from "../../domain/store";
import { emptyWall, parseWall, type Wall } from "../../domain/wall";

const KEPT = "belfry.wall.";

export const wall = store<Wall>(emptyWall());
let user: string | null = null;

/** Takes up this user's wall of last time. */
export function startWall(userId: string): void {
  if (user === userId) return;
  user = userId;
  wall.set(parseWall(localStorage.getItem(KEPT + userId)) ?? emptyWall());
  wall.subscribe(() => localStorage.setItem(KEPT + userId, JSON.stringify(wall.get())));
}
