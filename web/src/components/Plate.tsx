/** A plate as read, in the look of its country where that helps the eye; the country always stands in words too. */
export function Plate({ text, country, large = false }: { text: string; country: string | null; large?: boolean }) {
  return (
    <span className={`plate ${large ? "text-2xl leading-9" : "text-[15px] leading-6"}`} data-country={country ?? ""}>
      {text}
    </span>
  );
}
