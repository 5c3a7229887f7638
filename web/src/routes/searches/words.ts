import type { GatedSearch } from "../../api/types";
import { useWords } from "../../app/useWords";

/** An order in words, the same to whoever ordered it and to whoever agrees. */
export function useSearchWords() {
  const { t, name, when } = useWords();
  return (one: GatedSearch) => {
    const similar = one.plate?.startsWith("~") === true;
    const pattern = !similar && /[*?]/.test(one.plate ?? "");
    const plate = similar ? (one.plate ?? "").slice(1) : one.plate;
    return {
      what:
        plate === null
          ? t("searches.everyPlate")
          : similar
            ? t("searches.plateSimilar", { plate })
            : pattern
              ? t("searches.platePattern", { plate })
              : t("searches.plateExact", { plate }),
      where: one.camera === null ? t("searches.allCameras") : `${one.camera.code} – ${name(one.camera)}`,
      span: `${when(one.from)} – ${when(one.to)}`,
    };
  };
}
