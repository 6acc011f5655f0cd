// SRAMs. What was read stays at the output until the next read. In simulation the rows are loaded at
// time 0 from <+sram_dir>/<instance path>.hex, if the plusarg is given and the file is there, or else
// one that has the path without its first names, wherever a design instantiates an array; other
// rows keep what the simulator fills them with. Files that hold these modules can be compiled
// together; define ZEROSKIP_SRAM_1R1W and ZEROSKIP_SRAM_1RW to use others.

// In each SRAM: finds its file, and loads it. A name of the path ends with the next dot; the rest of
// a path without its first names has zeros before it.
`ifndef ZEROSKIP_SRAM_LOAD
`define ZEROSKIP_SRAM_LOAD \
    reg [8*1024-1:0] dir, place; \
    reg [8*2048-1:0] path; \
    integer          file, at; \
    \
    initial \
        if ($value$plusargs("sram_dir=%s", dir)) begin \
            $sformat(place, "%m"); \
            file = 0; \
            at = 1024; \
            while (file == 0 && at > 0) begin \
                $sformat(path, "%0s/%0s.hex", dir, place); \
                file = $fopen(path, "r"); \
                at = at - 1; \
                while (at > 0 && place[8*at+:8] != ".") begin \
                    place[8*at+:8] = 0; \
                    at = at - 1; \
                end \
                place[8*at+:8] = 0; \
            end \
            if (file != 0) begin \
                $fclose(file); \
                $readmemh(path, rows); \
            end \
        end
`endif

// One read port, one write port, both synchronous; a read of a row that is written in the same cycle
// returns the old word.
`ifndef ZEROSKIP_SRAM_1R1W
`define ZEROSKIP_SRAM_1R1W
module sram_1r1w #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ABITS = 4
) (
    input  wire             clk,
    input  wire             rd_en,
    input  wire [ABITS-1:0] rd_addr,
    output reg  [WIDTH-1:0] rd_data,
    input  wire             wr_en,
    input  wire [ABITS-1:0] wr_addr,
    input  wire [WIDTH-1:0] wr_data
);
    reg [WIDTH-1:0] rows [0:DEPTH-1];

`ifndef SYNTHESIS
    `ZEROSKIP_SRAM_LOAD
`endif

    always @(posedge clk) begin
        if (rd_en) rd_data <= rows[rd_addr];
        if (wr_en) rows[wr_addr] <= wr_data;
    end
endmodule
`endif

// One port for both: it never reads and writes in one cycle. If it did, it would write.
`ifndef ZEROSKIP_SRAM_1RW
`define ZEROSKIP_SRAM_1RW
module sram_1rw #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ABITS = 4
) (
    input  wire             clk,
    input  wire             rd_en,
    input  wire [ABITS-1:0] rd_addr,
    output reg  [WIDTH-1:0] rd_data,
    input  wire             wr_en,
    input  wire [ABITS-1:0] wr_addr,
    input  wire [WIDTH-1:0] wr_data
);
    reg [WIDTH-1:0] rows [0:DEPTH-1];

`ifndef SYNTHESIS
    `ZEROSKIP_SRAM_LOAD
`endif

    wire [ABITS-1:0] addr = wr_en ? wr_addr : rd_addr;

    always @(posedge clk)
        if (wr_en) begin
            rows[addr] <= wr_data;
`ifndef SYNTHESIS
            if (rd_en) rd_data <= {WIDTH{1'bx}};
`endif
        end else if (rd_en) rd_data <= rows[addr];
endmodule
`endif
