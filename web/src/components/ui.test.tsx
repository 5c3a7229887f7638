// @vitest-environment jsdom
import { act, fireEvent, screen } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { call } from "../api/http";
import { useAct } from "../app/useAct";
import { later, NONE, server, show } from "../testing/desk";
import { Modal } from "./Modal";
import { ReasonForm } from "./ReasonForm";
import { Button } from "./ui";

function Step() {
  const { act, busy } = useAct([]);
  return (
    <Button isPending={busy} onPress={() => void act(() => call("POST", "/step"))}>
      Agree
    </Button>
  );
}

function Reason() {
  const { act, busy } = useAct([]);
  const send = (reason: string): void => void act(() => call("POST", "/step", { body: { reason } }));
  return <ReasonForm label="Why" send="Refuse" look="danger" busy={busy} onSend={send} onCancel={() => undefined} />;
}

/** What a screen reader was given to say at once, in its order. */
const said = (): string[] =>
  [...document.querySelectorAll("[data-live-announcer] > *")].map((one) => one.textContent ?? "");

function enter(target: Element, times: number): void {
  for (let n = 0; n < times; n += 1) fireEvent.keyDown(target, { key: "Enter", code: "Enter", repeat: n > 0 });
}

beforeEach(() => document.querySelectorAll("[data-live-announcer] > *").forEach((one) => one.remove()));

describe("a button whose step is under way", () => {
  it("acts once for a double click, keeps the focus, and says when it is under way and when it is over", async () => {
    const step = later();
    const asked = server(() => step.answer);
    show(<Step />);
    const button = screen.getByRole("button", { name: "Agree" });
    act(() => button.focus());
    fireEvent.click(button);
    fireEvent.click(button);
    await screen.findByRole("button", { name: "Agree under way" });
    expect(screen.getByRole("button")).toBe(button);
    expect(document.activeElement).toBe(button);
    expect(button.getAttribute("aria-disabled")).toBe("true");
    // A disabled button would lose the focus.
    expect(button.hasAttribute("disabled")).toBe(false);
    expect(said()).toEqual(["Agree under way"]);
    enter(button, 1);
    fireEvent.keyUp(button, { key: "Enter", code: "Enter" });
    await act(async () => step.give(NONE));
    await screen.findByRole("button", { name: "Agree" });
    expect(said()).toEqual(["Agree under way", "Agree"]);
    expect(document.activeElement).toBe(button);
    expect(asked).toHaveLength(1);
  });

  it("acts once for a key that is held down", async () => {
    const step = later();
    const asked = server(() => step.answer);
    show(<Step />);
    const button = screen.getByRole("button", { name: "Agree" });
    act(() => button.focus());
    enter(button, 20);
    fireEvent.keyUp(button, { key: "Enter", code: "Enter" });
    await screen.findByRole("button", { name: "Agree under way" });
    enter(button, 20);
    fireEvent.keyUp(button, { key: "Enter", code: "Enter" });
    await act(async () => step.give(NONE));
    expect(asked).toHaveLength(1);
    expect(document.activeElement).toBe(button);
  });

  it("sends a form with one field once, although Enter is held down in it", async () => {
    const step = later();
    const asked = server(() => step.answer);
    show(<Reason />);
    const field = screen.getByRole("textbox", { name: "Why" });
    fireEvent.change(field, { target: { value: "not what was asked for" } });
    const form = field.closest("form");
    if (form === null) throw new Error("no form");
    // Browsers send a form with one field by Enter also while it has no button that sends.
    fireEvent.submit(form);
    fireEvent.submit(form);
    await screen.findByRole("button", { name: "Refuse under way" });
    fireEvent.submit(form);
    expect(screen.getByRole("button", { name: "Refuse under way" }).getAttribute("type")).toBe("button");
    await act(async () => step.give(NONE));
    expect(asked).toHaveLength(1);
    // It may be sent again once it is over.
    fireEvent.submit(form);
    await screen.findByRole("button", { name: "Refuse" });
    expect(asked).toHaveLength(2);
  });

  it("is heard although the button goes with its step, under a dialog too, and not where the keyboard is elsewhere", async () => {
    const step = later();
    server(() => step.answer);
    const { swap } = show(<Step />);
    const button = screen.getByRole("button", { name: "Agree" });
    act(() => button.focus());
    fireEvent.click(button);
    await screen.findByRole("button", { name: "Agree under way" });
    swap(
      <Modal title="Another" open>
        <Button isPending>Elsewhere</Button>
      </Modal>,
    );
    await act(async () => step.give(NONE));
    expect(said()).toEqual(["Agree under way"]);
    const region = document.querySelector("[data-live-announcer]");
    expect(region?.getAttribute("aria-live")).toBe("assertive");
    expect(region?.closest("[aria-hidden=true], [inert]")).toBeNull();
  });

  it("has its state in a name that is no content", () => {
    const act = vi.fn();
    show(<Button isPending aria-label="Close" onPress={act} />);
    fireEvent.click(screen.getByRole("button", { name: "Close under way" }));
    expect(act).not.toHaveBeenCalled();
  });
});
