// The SRAMs of srams.v as FPGA memories are: what a read gives that meets a write to its row is not
// known, and those of one port that have SRAM_SINGLE_BITS bits or more go to memories that have one
// port only, at which writes come first. Bitstreams and simulated boards are made of this file.
`ifndef SRAM_SINGLE_BITS
`define SRAM_SINGLE_BITS 0
`endif
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
    reg [8*1024-1:0] dir;
    reg [8*2048-1:0] path;
    integer          file;

    initial
        if ($value$plusargs("sram_dir=%s", dir)) begin
            $sformat(path, "%0s/%m.hex", dir);
            file = $fopen(path, "r");
            if (file != 0) begin
                $fclose(file);
                $readmemh(path, rows);
            end
        end
`endif

    always @(posedge clk) begin
        if (rd_en) rd_data <= wr_en && wr_addr == rd_addr ? {WIDTH{1'bx}} : rows[rd_addr];
        if (wr_en) rows[wr_addr] <= wr_data;
    end
endmodule

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
    reg [8*1024-1:0] dir;
    reg [8*2048-1:0] path;
    integer          file;

    initial
        if ($value$plusargs("sram_dir=%s", dir)) begin
            $sformat(path, "%0s/%m.hex", dir);
            file = $fopen(path, "r");
            if (file != 0) begin
                $fclose(file);
                $readmemh(path, rows);
            end
        end
`endif

    generate
        if (`SRAM_SINGLE_BITS != 0 && DEPTH * WIDTH >= `SRAM_SINGLE_BITS) begin : single
            wire [ABITS-1:0] addr = wr_en ? wr_addr : rd_addr;
            always @(posedge clk)
                if (wr_en) begin
                    rows[addr] <= wr_data;
`ifndef SYNTHESIS
                    if (rd_en) rd_data <= {WIDTH{1'bx}};
`endif
                end else if (rd_en) rd_data <= rows[addr];
        end else begin : dual
            always @(posedge clk) begin
`ifdef SYNTHESIS
                if (rd_en) rd_data <= wr_en && wr_addr == rd_addr ? {WIDTH{1'bx}} : rows[rd_addr];
`else
                if (rd_en) rd_data <= wr_en ? {WIDTH{1'bx}} : rows[rd_addr];
`endif
                if (wr_en) rows[wr_addr] <= wr_data;
            end
        end
    endgenerate
endmodule
