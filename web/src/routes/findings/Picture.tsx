import { useWords } from "../../app/useWords";

/** A picture of a finding, or the word that it was not kept. */
export function Picture({
  src,
  alt,
  label,
  tall = false,
}: {
  src: string | null;
  alt: string;
  label: string;
  tall?: boolean;
}) {
  const { t } = useWords();
  return (
    <figure className="overflow-hidden rounded border border-line bg-black">
      {src === null ? (
        <p className="grid h-28 place-items-center text-muted">{t("findings.noPicture")}</p>
      ) : (
        <img src={src} alt={alt} className={`w-full object-contain ${tall ? "max-h-[48vh]" : "h-28"}`} />
      )}
      <figcaption className="bg-panel px-2 py-1 text-xs text-muted">{label}</figcaption>
    </figure>
  );
}
