// Ports of hw/verilog/srams.v: to synthesis an SRAM is a box, whose area comes from a model.
(* blackbox *)
module sram_1r1w #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ABITS = 4
) (
    input              clk,
    input              rd_en,
    input  [ABITS-1:0] rd_addr,
    output [WIDTH-1:0] rd_data,
    input              wr_en,
    input  [ABITS-1:0] wr_addr,
    input  [WIDTH-1:0] wr_data
);
endmodule
(* blackbox *)
module sram_1rw #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ABITS = 4
) (
    input              clk,
    input              rd_en,
    input  [ABITS-1:0] rd_addr,
    output [WIDTH-1:0] rd_data,
    input              wr_en,
    input  [ABITS-1:0] wr_addr,
    input  [WIDTH-1:0] wr_data
);
endmodule
