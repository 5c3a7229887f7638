import { describe, expect, it } from "vitest";
import { parsePermitFile, type PermitFile } from "./file";

const HEAD = "list;id;plate;country;right;zones;from;to;group;evidence";

function read(...lines: string[]): PermitFile {
  const file = parsePermitFile([HEAD, ...lines].join("\r\n"));
  if ("problem" in file) throw new Error(`${file.problem} ${file.column}`);
  return file;
}

describe("a file of the permit desk", () => {
  it("is read line by line, permits before lists", () => {
    const file = read(
      "taxi;;TXAB123;B;;;2026-11-01;;;lijst",
      ";V-1;1-ABC-123;B;Z-MED;ZBT-XL-A  ZBT-XL-B;2026-11-01;2027-11-01 12:00;;dossier 1",
      ';V-2;1ABC124;B;Z-GARAGE;ZBT-XL-A;2026-11-01T00:00:00Z;2027-11-01;"garage ""Noord""; 4*2";dossier 2',
    );
    expect(file.lines).toEqual([3, 4, 2]);
    expect(file.bad).toEqual([]);
    expect(file.permits[0]?.zones).toEqual(["ZBT-XL-A", "ZBT-XL-B"]);
    // Winter time in November; a day is its first instant in Brussels.
    expect(file.permits[0]?.from).toBe("2026-10-31T23:00:00.000000Z");
    expect(file.permits[0]?.to).toBe("2027-11-01T11:00:00.000000Z");
    expect(file.permits[0]?.granted_at).toBe(file.permits[0]?.from);
    expect(file.permits[1]?.from).toBe("2026-11-01T00:00:00.000000Z");
    expect(file.permits[1]?.group).toEqual({ name: 'garage "Noord"; 4', places: 2 });
    expect(file.listings).toEqual([
      {
        list: "taxi",
        plate: "TXAB123",
        country: "B",
        from: "2026-10-31T23:00:00.000000Z",
        to: null,
        evidence: "lijst",
      },
    ]);
  });

  it("tells a line that is none by its number, and takes the others", () => {
    const file = read(
      ";V-1;1ABC123;B;Z-MED;ZBT-XL-A;gisteren;2027-11-01;;d",
      ";V-2;1ABC124",
      "",
      ";V-3;1ABC125;B;Z-GARAGE;ZBT-XL-A;2026-11-01;2027-11-01;garage;d",
      ";V-4;1ABC126;B;Z-MED;ZBT-XL-A;2026-11-01;2027-11-01;;d",
      ';V-5;1ABC127;B;Z-MED;ZBT-XL-A;2026-11-01;2027-11-01;;"no end',
    );
    expect(file.bad).toEqual([
      { line: 2, problem: "moment" },
      { line: 3, problem: "columns" },
      { line: 5, problem: "group" },
      { line: 7, problem: "quotes" },
    ]);
    expect(file.lines).toEqual([6]);
  });

  it("wants its columns", () => {
    expect(parsePermitFile("")).toEqual({ problem: "empty", column: "" });
    expect(parsePermitFile(HEAD)).toEqual({ problem: "empty", column: "" });
    expect(parsePermitFile("plate,colour\n1ABC123,red")).toEqual({ problem: "unknown", column: "colour" });
    expect(parsePermitFile("plate,country,from\n1ABC123,B,2026-11-01")).toEqual({
      problem: "missing",
      column: "evidence",
    });
    const commas = parsePermitFile("\uFEFFplate,country,from,evidence,list\n1ABC123,B,2026-11-01,lijst,taxi\n");
    expect("lines" in commas && commas.lines).toEqual([2]);
  });
});
