import { useWords } from "../../app/useWords";
import type { Camera } from "../../api/types";

/** Most cameras of one order. */
export const CAMERAS_MAX = 8;

/** Further cameras of the same owner, over the same span: one folder, one film of each. */
export function MoreCameras({
  first,
  cameras,
  more,
  onChange,
}: {
  first: Camera;
  cameras: readonly Camera[];
  more: readonly string[];
  onChange: (more: string[]) => void;
}) {
  const { t, name } = useWords();
  const others = cameras.filter((one) => one.id !== first.id && one.owner.id === first.owner.id);
  if (others.length === 0) return null;
  return (
    <fieldset className="flex flex-col gap-1.5">
      <legend>{t("exports.more", { count: CAMERAS_MAX - 1 })}</legend>
      <div className="flex max-h-40 flex-col gap-1 overflow-y-auto rounded-[5px] border border-line p-2">
        {others.map((one) => {
          const isChosen = more.includes(one.id);
          return (
            <label key={one.id} className="flex min-h-6 items-center gap-1.5">
              <input
                type="checkbox"
                className="size-4 shrink-0"
                checked={isChosen}
                disabled={!isChosen && more.length >= CAMERAS_MAX - 1}
                onChange={(event) =>
                  onChange(event.target.checked ? [...more, one.id] : more.filter((id) => id !== one.id))
                }
              />
              {one.code} – {name(one)}
            </label>
          );
        })}
      </div>
    </fieldset>
  );
}
